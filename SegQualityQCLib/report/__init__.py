"""Reports: scores, intervals, the volume's score, the order of correction, and their words."""
