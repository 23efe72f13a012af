"""Stand-in for the layout manager: three slice views and a plot view, with real nodes and real VTK renderers."""

import slicer
import vtk
from PySide6 import QtCore

from .widgets import connect, disconnect


class SliceView:
    def __init__(self):
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(True)
        self._window.AddRenderer(vtk.vtkRenderer())
        self.scheduled = 0

    def renderWindow(self):
        return self._window

    def scheduleRender(self):
        self.scheduled += 1


class SliceWidget:
    def __init__(self, node):
        self._node, self._view = node, SliceView()

    def sliceView(self):
        return self._view

    def mrmlSliceNode(self):
        return self._node


class PlotView(QtCore.QObject):
    dataSelected = QtCore.Signal(object, object)

    def connect(self, signal, receiver):
        connect(self, signal, receiver)

    def disconnect(self, signal, receiver):
        disconnect(self, signal, receiver)


class PlotWidget:
    def __init__(self):
        self._view = PlotView()

    def plotView(self):
        return self._view


class LayoutManager(QtCore.QObject):
    plotViewCount = 1
    layoutChanged = QtCore.Signal(int)

    def __init__(self, slice_nodes):
        super().__init__()
        self._widgets = {node.GetLayoutName(): SliceWidget(node) for node in slice_nodes}
        self._plot = PlotWidget()

    def connect(self, signal, receiver):
        connect(self, signal, receiver)

    def disconnect(self, signal, receiver):
        disconnect(self, signal, receiver)

    def sliceViewNames(self):
        return tuple(self._widgets)

    def sliceWidget(self, name):
        return self._widgets[name]

    def mrmlSliceLogics(self):
        logics = vtk.vtkCollection()
        for widget in self._widgets.values():
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLScene(slicer.mrmlScene)
            logic.SetSliceNode(widget.mrmlSliceNode())
            logics.AddItem(logic)
        return logics

    def plotWidget(self, n):
        return self._plot


def props_in(name):
    """The props that a slice view of the layout draws."""
    window = slicer.app.layoutManager().sliceWidget(name).sliceView().renderWindow()
    props = window.GetRenderers().GetFirstRenderer().GetViewProps()
    return [props.GetItemAsObject(n) for n in range(props.GetNumberOfItems())]


def text_in(name):
    """The text that a slice view shows; None where it shows none."""
    texts = [prop for prop in props_in(name) if prop.IsA("vtkTextActor") and prop.GetVisibility()]
    return texts[0].GetInput() if texts else None
