"""Settings of the whole suite."""

from hypothesis import settings

# A busy machine is slow, not wrong: pytest-timeout ends what hangs.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
