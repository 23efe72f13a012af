"""The parts of the module's panel. Needs qt and slicer; holds no computation."""
