"""The parts of the module's panel. Needs qt and slicer; does not compute anything."""
