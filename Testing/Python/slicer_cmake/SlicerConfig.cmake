# A stand-in for the package that a build of 3D Slicer exports, for the test that installs the extension: its macros take the
# arguments that Slicer's take, refuse what Slicer's refuse, and copy files to the same places. Nothing is compiled.

set(Slicer_FOUND TRUE)
set(Slicer_VERSION 5.10)
set(Slicer_USE_PYTHONQT ON)
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/GenerateExtensionConfig.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/ExtensionCPack.cmake")
