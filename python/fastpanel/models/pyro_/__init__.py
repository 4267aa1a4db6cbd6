"""Pyro back end (imported on first use)."""
