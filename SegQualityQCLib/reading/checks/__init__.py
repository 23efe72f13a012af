"""Checks of files that ITK does not make."""
