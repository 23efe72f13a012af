"""Slicer's own Python classes in place of the stand-ins, from the folder ``Base/Python`` of its source."""

import importlib
import sys
import types

import slicer
from PySide6 import QtWidgets

from . import widgets


class _Widgets(types.ModuleType):
    """ctk: the stand-ins, and an empty class for each widget that Slicer's classes merely name."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(widgets, name, None) or type(name, (QtWidgets.QWidget,), {})
        setattr(self, name, found)
        return found


def install(folder):
    """Take parameterNodeWrapper and ScriptedLoadableModule from this folder."""
    sys.modules["ctk"] = _Widgets("ctk")
    for name in ("qMRMLSliderWidget", "qMRMLSpinBox", "qMRMLRangeWidget", "qSlicerWidget"):
        setattr(slicer, name, getattr(sys.modules["ctk"], name))
    slicer.qMRMLNodeComboBox = widgets.qMRMLNodeComboBox
    # Qt's properties are attributes in PythonQt; the connectors use this one.
    QtWidgets.QCheckBox.checked = property(lambda box: box.isChecked(), lambda box, value: box.setChecked(value))
    own = f"{folder}/slicer"
    if own not in slicer.__path__:
        slicer.__path__.append(own)
    for name in ("parameterNodeWrapper", "ScriptedLoadableModule"):
        for loaded in [key for key in sys.modules if key.startswith(f"slicer.{name}")]:
            del sys.modules[loaded]
        importlib.import_module(f"slicer.{name}")
