"""Families that need no training: the candidate against other segmentations, and against probabilities."""
