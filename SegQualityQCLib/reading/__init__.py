"""From files to cases: one reader for each format."""
