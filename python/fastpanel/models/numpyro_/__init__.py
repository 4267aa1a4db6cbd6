"""NumPyro back end (imported on first use)."""
