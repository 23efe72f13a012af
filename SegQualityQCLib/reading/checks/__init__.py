"""Checks of image files that ITK does not do."""
