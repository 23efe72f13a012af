# Slicer writes the extension's description from these variables, and stops where one that it needs is missing.
foreach(field HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if(NOT EXTENSION_${field})
    message(FATAL_ERROR "EXTENSION_${field} is not set")
  endif()
endforeach()
file(WRITE "${CMAKE_BINARY_DIR}/${PROJECT_NAME}.s4ext"
  "homepage ${EXTENSION_HOMEPAGE}\ndepends ${EXTENSION_DEPENDS}\niconurl ${EXTENSION_ICONURL}\n"
  "description ${EXTENSION_DESCRIPTION}\nscreenshoturls ${EXTENSION_SCREENSHOTURLS}\n"
  )
install(FILES "${CMAKE_BINARY_DIR}/${PROJECT_NAME}.s4ext" DESTINATION "share/Slicer-${Slicer_VERSION}")
