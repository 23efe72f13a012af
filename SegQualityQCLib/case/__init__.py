"""The case: an image and a candidate segmentation on one grid, checked."""
