# Slicer sets up the packages here; the test looks at what is installed.
include(CPack)
