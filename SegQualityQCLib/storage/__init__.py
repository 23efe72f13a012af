"""Files on disk: written whole or not at all, with portable paths, as new versions, with safe texts."""
