"""A stand-in for the application: real Qt (PySide6) and real MRML, with PythonQt's manners.

``start()`` puts ``qt`` and the parts of ``slicer`` that need Qt where the module expects them, and returns the imported
module.
"""

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
import types
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer.util
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from . import slicer_python
from .parameters import WithinRange, parameterNodeWrapper
from .scenes import new_scene
from .segment_editor import qMRMLSegmentEditorWidget
from .views import LayoutManager
from .widgets import WIDGETS, QShortcut, QTimer, childWidgetVariables

ROOT = Path(__file__).resolve().parents[3]


class VTKObservationMixin:
    def __init__(self):
        self.Observations = []

    def addObserver(self, obj, event, method):
        tag = obj.AddObserver(event, method)
        self.Observations.append((obj, event, method, tag))

    def removeObserver(self, obj, event, method):
        for entry in list(self.Observations):
            if entry[:3] == (obj, event, method):
                obj.RemoveObserver(entry[3])
                self.Observations.remove(entry)

    def removeObservers(self):
        for obj, _, _, tag in self.Observations:
            obj.RemoveObserver(tag)
        self.Observations = []


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.parent = parent
        self.layout = parent.layout()

    def setup(self):
        pass

    def onReload(self):
        slicer.util.reloadScriptedModule("SegQualityQC")


class ScriptedLoadableModuleLogic:
    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode("SegQualityQC", "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag("SegQualityQC")
            node.SetModuleName("SegQualityQC")
            node = slicer.mrmlScene.AddNode(node)
        return node


def _module(name, **content):
    module = types.ModuleType(name)
    module.__dict__.update(content)
    sys.modules[name] = module
    return module


def _load_ui(path):
    loader = QtUiTools.QUiLoader()
    for widget in WIDGETS:
        loader.registerCustomWidget(widget)
    return loader.load(str(path))


@contextmanager
def _try_with_error_display(message=None, show=True, waitCursor=False):
    try:
        yield
    except Exception as error:
        slicer.util.errorDisplay(f"{message}\n\n{error}")
        raise  # as the real one does


def start(file=ROOT / "SegQualityQC" / "SegQualityQC.py"):
    """Start the stand-in, with a fresh scene, and import the module's file."""
    import unittest

    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    qt = _module("qt")
    for source in (QtCore, QtGui, QtWidgets):
        qt.__dict__.update({name: getattr(source, name) for name in dir(source) if name.startswith("Q")})
    qt.QShortcut = QShortcut
    qt.QTimer = QTimer
    folder = Path(tempfile.mkdtemp(prefix="segquality-settings-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings = QtCore.QSettings(str(folder / "Slicer.ini"), QtCore.QSettings.IniFormat)
    slicer.mrmlScene = new_scene()
    layout = LayoutManager([_view_node(slicer.mrmlScene, name) for name in ("Red", "Green", "Yellow")])
    window = QtWidgets.QMainWindow()
    slicer.app = types.SimpleNamespace(
        userSettings=lambda: settings,
        slicerUserSettingsFilePath=str(folder / "Slicer.ini"),
        layoutManager=lambda: layout,
        moduleManager=lambda: types.SimpleNamespace(connect=lambda *args: None),
        connect=lambda *args: None,
        qt=application,
    )
    slicer.modules = types.SimpleNamespace()
    slicer.qMRMLSegmentEditorWidget = qMRMLSegmentEditorWidget
    slicer.util.mainWindow = lambda: window
    slicer.errors = []
    slicer.util.loadUI = _load_ui
    slicer.util.childWidgetVariables = childWidgetVariables
    slicer.util.errorDisplay = lambda text, *args, **kwargs: slicer.errors.append(text)
    slicer.answers = []  # to the questions that are asked, in their order
    slicer.util.confirmYesNoDisplay = lambda text, *args, **kwargs: slicer.answers.pop(0)
    slicer.util.tryWithErrorDisplay = _try_with_error_display
    slicer.util.VTKObservationMixin = VTKObservationMixin
    _module("slicer.i18n", tr=lambda text: text, translate=lambda context, text: text)
    _module("slicer.parameterNodeWrapper", parameterNodeWrapper=parameterNodeWrapper, WithinRange=WithinRange)
    _module(
        "slicer.ScriptedLoadableModule",
        ScriptedLoadableModule=ScriptedLoadableModule,
        ScriptedLoadableModuleWidget=ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic=ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest=unittest.TestCase,
    )
    if os.environ.get("SLICER_PYTHON"):
        slicer_python.install(os.environ["SLICER_PYTHON"])
    slicer.util.reloadScriptedModule = lambda name: _reload(file)
    return _import(file)


def _import(file):
    spec = importlib.util.spec_from_file_location("SegQualityQC", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["SegQualityQC"] = module
    spec.loader.exec_module(module)
    return module


def _reload(file):
    """As Slicer does: the old panel is hidden and cleaned up, the new one is set up in its place and not entered."""
    module, old = _import(file), slicer.modules.SegQualityQCWidget
    for child in old.parent.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly):
        child.hide()
    old.cleanup()
    while old.parent.layout().count():
        old.parent.layout().takeAt(0)
    slicer.modules.SegQualityQCWidget = module.SegQualityQCWidget(old.parent)
    slicer.modules.SegQualityQCWidget.setup()
    return module


def _view_node(scene, name):
    """The node of a slice view; Slicer keeps them, as singletons, when a scene is closed."""
    node = slicer.vtkMRMLSliceNode()
    node.SetName(name)
    node.SetLayoutName(name)
    node.SetSingletonTag(name)
    composite = slicer.vtkMRMLSliceCompositeNode()
    composite.SetLayoutName(name)
    composite.SetSingletonTag(name)
    scene.AddNode(composite)
    return scene.AddNode(node)


def open_panel(module):
    """The module's widget, in a window of a panel's usual width; its ``panel`` is what it shows and does."""
    window = QtWidgets.QWidget()
    window.setLayout(QtWidgets.QVBoxLayout())
    window.resize(470, 860)
    widget = module.SegQualityQCWidget(window)
    slicer.modules.SegQualityQCWidget = widget
    widget.setup()
    widget.enter()
    window.show()
    return widget


def leave_module():
    """As the user does who opens another module."""
    slicer.modules.SegQualityQCWidget.exit()


def return_to_module():
    """As the user does who opens the module again."""
    slicer.modules.SegQualityQCWidget.enter()


def process_events(until, seconds=30.0):
    """Let the event loop run until a condition holds; returns the longest time in seconds that one round took."""
    clock, longest = QtCore.QElapsedTimer(), 0.0
    clock.start()
    while not until():
        assert clock.elapsed() < 1000 * seconds, "the condition never came true"
        before = clock.nsecsElapsed()
        QtWidgets.QApplication.processEvents(QtCore.QEventLoop.AllEvents, 1)
        longest = max(longest, (clock.nsecsElapsed() - before) / 1e9)
    return longest
