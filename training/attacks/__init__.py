"""Attacks on images, defences against them, and a scanner's faults."""
