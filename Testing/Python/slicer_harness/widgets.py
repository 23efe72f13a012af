"""Stand-ins for the qMRML and ctk widgets of the panel: what the real ones document, and no more."""

import functools
import inspect
import types

from PySide6 import QtCore, QtGui, QtWidgets


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
    currentNodeChanged = QtCore.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.nodes = [None]
        self.addItem("None")
        self.currentIndexChanged.connect(lambda index: self.report(self.currentNode()))
        self.currentIndexChanged.connect(lambda index: self.currentNodeChanged.emit(self.currentNode()))

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

    setCurrentNode = show_value


class ctkCollapsibleButton(QtWidgets.QGroupBox):
    contentsCollapsed = QtCore.Signal(bool)
    text = QtCore.Property(str, lambda self: self.title(), lambda self, value: self.setTitle(value))

    def _collapse(self, value):
        changed = value != getattr(self, "_collapsed", False)
        self._collapsed = value
        for child in self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly):
            child.setVisible(not value)
        if changed:
            self.contentsCollapsed.emit(value)

    collapsed = QtCore.Property(bool, lambda self: getattr(self, "_collapsed", False), _collapse)
    setCollapsed = _collapse

    def showEvent(self, event):
        super().showEvent(event)
        if getattr(self, "_collapsed", False):  # children were added after the property was set
            self._collapse(True)


class ctkSliderWidget(QtWidgets.QWidget, Bound):
    """Its values are attributes, as PythonQt shows them, for Slicer's own parameterNodeWrapper."""

    valueChanged = QtCore.Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._box = QtWidgets.QDoubleSpinBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.valueChanged.connect(self.valueChanged)
        self._box.valueChanged.connect(self.report)

    def _part(getter, setter):
        return lambda self: getattr(self._box, getter)(), lambda self, value: getattr(self._box, setter)(value)

    value = QtCore.Property(float, *_part("value", "setValue"))
    minimum = QtCore.Property(float, *_part("minimum", "setMinimum"))
    maximum = QtCore.Property(float, *_part("maximum", "setMaximum"))
    singleStep = QtCore.Property(float, *_part("singleStep", "setSingleStep"))
    decimals = QtCore.Property(int, *_part("decimals", "setDecimals"))

    def bound_value(self):
        return self.value

    def show_value(self, value):
        self.value = value


class ctkPathLineEdit(QtWidgets.QLineEdit):
    currentPathChanged = QtCore.Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.textChanged.connect(self.currentPathChanged)

    currentPath = QtCore.Property(str, lambda self: self.text(), lambda self, value: self.setText(value))


class CheckBoxBinding(Bound):
    """A check box of Qt itself, bound like the widgets above."""

    def __init__(self, box):
        self.box = box
        box.toggled.connect(self.report)

    def bound_value(self):
        return self.box.isChecked()

    def show_value(self, value):
        self.box.setChecked(value)


WIDGETS = (qMRMLWidget, qMRMLNodeComboBox, ctkCollapsibleButton, ctkSliderWidget, ctkPathLineEdit)


def connect(sender, signal, receiver):
    """PythonQt's ``object.connect("signal(types)", callable)``; the callable gets as many values as it takes."""
    taken = len(inspect.signature(receiver).parameters)
    connection = getattr(sender, signal.split("(")[0]).connect(lambda *values: receiver(*values[:taken]))
    _connections[id(sender), signal, receiver] = connection


def disconnect(sender, signal, receiver):
    """PythonQt's ``object.disconnect``."""
    QtCore.QObject.disconnect(_connections.pop((id(sender), signal, receiver)))


_connections = {}


class QShortcut(QtGui.QShortcut):
    """Qt's, with PythonQt's way to connect."""

    def connect(self, signal, receiver):
        connect(self, signal, receiver)


class QTimer(QtCore.QTimer):
    """Qt's, with PythonQt's way to connect."""

    def connect(self, signal, receiver):
        connect(self, signal, receiver)


def childWidgetVariables(widget):
    """slicer.util's: the widgets of a .ui file as attributes."""
    children = [child for child in widget.findChildren(QtCore.QObject) if child.objectName()]
    for child in children:
        child.connect = functools.partial(connect, child)
    return types.SimpleNamespace(**{child.objectName(): child for child in children})
