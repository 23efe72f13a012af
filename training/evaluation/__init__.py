"""Calibration and evaluation of trained models."""
