"""A study: its configuration, its paths and its files."""
