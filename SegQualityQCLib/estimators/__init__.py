"""Estimators: one interface for every family of methods, and how a model is chosen and loaded."""
