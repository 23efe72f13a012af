"""Patients, their split, and the field of view cut from their slices."""
