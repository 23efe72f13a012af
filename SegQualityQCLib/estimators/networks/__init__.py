"""The families that run networks on a field of view of each slice."""
