"""The command ``segquality``."""
