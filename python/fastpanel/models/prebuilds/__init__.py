"""Built-in prebuild hooks."""
