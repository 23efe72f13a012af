"""Candidate masks: those of networks, and perturbed references."""
