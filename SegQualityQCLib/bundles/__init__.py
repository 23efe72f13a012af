"""Model bundles: what is on disk, checked; knows no family of estimators."""
