"""Candidate masks: those of networks, and references made wrong."""
