"""Patients, their split, and the fields of view cut from their slices."""
