"""Between the MRML scene and the library: nodes become cases, reports become nodes. Needs slicer and vtk, no Qt."""
