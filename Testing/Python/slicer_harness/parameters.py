"""Stand-in for slicer.parameterNodeWrapper: typed attributes kept in the node, bound to widgets by name."""

from typing import NamedTuple, get_type_hints

from PySide6 import QtWidgets

from .widgets import CheckBoxBinding, ctkSliderWidget


class WithinRange(NamedTuple):
    minimum: float
    maximum: float


def parameterNodeWrapper(cls):
    kinds = get_type_hints(cls)
    annotated = get_type_hints(cls, include_extras=True)

    class Wrapped:
        def __init__(self, node):
            self.__dict__.update(parameterNode=node, gui=[])

        def __getattr__(self, name):
            if name not in kinds:
                return getattr(self.parameterNode, name)
            kind = kinds[name]
            if kind.__name__.startswith("vtkMRML"):
                return self.parameterNode.GetNodeReference(name)
            text = self.parameterNode.GetParameter(name) if self.parameterNode.HasParameter(name) else None
            if text is None:
                return getattr(cls, name)
            return text == "True" if kind is bool else kind(text)

        def __setattr__(self, name, value):
            if name not in kinds:
                raise AttributeError(name)
            if kinds[name].__name__.startswith("vtkMRML"):
                if value is not None and not isinstance(value, kinds[name]):
                    raise TypeError(f"{name} is no {kinds[name].__name__}: {value!r}")  # as the real one does
                self.parameterNode.SetNodeReferenceID(name, value.GetID() if value is not None else None)
            else:
                if not isinstance(value, kinds[name]):
                    raise TypeError(f"{name} is no {kinds[name].__name__}: {value!r}")
                self.parameterNode.SetParameter(name, str(value))

        def connectGui(self, ui):
            def show(*_):
                for widget, name in self.gui:
                    if widget.bound_value() != getattr(self, name):
                        widget.show_value(getattr(self, name))

            for widget in ui.__dict__.values():
                name = widget.property("SlicerParameterName")
                if name:
                    if isinstance(widget, ctkSliderWidget) and not hasattr(annotated[name], "__metadata__"):
                        raise RuntimeError("ctkSliderWidget is bound to an unbounded number")  # as the real one does
                    widget = CheckBoxBinding(widget) if isinstance(widget, QtWidgets.QCheckBox) else widget
                    self.gui.append((widget, name))
                    widget.bind(lambda value, name=name: setattr(self, name, value))
            show()
            return self.parameterNode.AddObserver("ModifiedEvent", show)

        def disconnectGui(self, tag):
            self.parameterNode.RemoveObserver(tag)
            for widget, _ in self.gui:
                widget.unbind()
            self.gui.clear()

    return Wrapped
