"""Stand-ins for the qMRML and ctk widgets of the panel: what the real ones document, and no more."""

import functools
import types

from PySide6 import QtCore, QtWidgets


class Bound:
    """What parameterNodeWrapper does with a widget: show a value, and report a new one."""

    def bind(self, report):
        self._report = report

    def unbind(self):
        self._report = None

    def report(self, value):
        if getattr(self, "_report", None) is not None:
            self._report(value)


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = QtCore.Signal("QVariant")

    def setMRMLScene(self, scene):
        for child in self.findChildren(qMRMLNodeComboBox):
            child.setMRMLScene(scene)


class qMRMLNodeComboBox(QtWidgets.QComboBox, Bound):
    def __init__(self, parent=None):
        super().__init__(parent)
        self.nodes = [None]
        self.addItem("None")
        self.currentIndexChanged.connect(lambda index: self.report(self.currentNode()))

    def setMRMLScene(self, scene):
        self.scene = scene

    def currentNode(self):
        return self.nodes[max(0, self.currentIndex())]

    bound_value = currentNode

    def show_value(self, node):
        if node not in self.nodes:
            self.nodes.append(node)
            self.addItem(node.GetName())
        self.setCurrentIndex(self.nodes.index(node))


class ctkCollapsibleButton(QtWidgets.QGroupBox):
    text = QtCore.Property(str, lambda self: self.title(), lambda self, value: self.setTitle(value))


class ctkSliderWidget(QtWidgets.QDoubleSpinBox, Bound):
    def __init__(self, parent=None):
        super().__init__(parent)
        self.valueChanged.connect(self.report)

    def bound_value(self):
        return self.value()

    def show_value(self, value):
        self.setValue(value)


class CheckBoxBinding(Bound):
    """A check box of Qt itself, bound like the widgets above."""

    def __init__(self, box):
        self.box = box
        box.toggled.connect(self.report)

    def bound_value(self):
        return self.box.isChecked()

    def show_value(self, value):
        self.box.setChecked(value)


WIDGETS = (qMRMLWidget, qMRMLNodeComboBox, ctkCollapsibleButton, ctkSliderWidget)


def _connect(sender, signal, receiver):
    """PythonQt's ``object.connect("signal(types)", callable)``; the callable gets as many values as it takes."""
    taken = receiver.__code__.co_argcount - 1
    getattr(sender, signal.split("(")[0]).connect(lambda *values: receiver(*values[:taken]))


def childWidgetVariables(widget):
    """slicer.util's: the widgets of a .ui file as attributes."""
    children = [child for child in widget.findChildren(QtCore.QObject) if child.objectName()]
    for child in children:
        child.connect = functools.partial(_connect, child)
    return types.SimpleNamespace(widgets=children, **{child.objectName(): child for child in children})
