"""Files: written whole or not at all, with portable paths and as new versions."""
