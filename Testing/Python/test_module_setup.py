"""The module in each Slicer: without PyTorch, in one that is too old, and its sample and self-test."""

import ast
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest
import slicer
from PySide6 import QtWidgets
from slicer_harness.application import open_panel, process_events


@pytest.fixture
def panel(demo_panel):
    return demo_panel


def finished(panel):
    return lambda: not panel.steps.running


WITHOUT_TORCH = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name)

import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "torch" else find_spec(name, package)
sys.meta_path.insert(0, Missing())

import slicer
from slicer_harness.application import open_panel, start

panel = open_panel(start()).panel
slicer.mrmlScene.SetURL(sys.argv[1])
assert slicer.mrmlScene.Import()
print(panel.ui.resultsTable.rowCount(), panel.ui.assessButton.isEnabled(), not panel.ui.installButton.isHidden())
print(panel.ui.torchLabel.text())
print("torch" in sys.modules)
"""


def test_without_torch_saved_results_open_and_the_panel_says_what_it_needs(panel, tmp_path):
    panel.ui.assessButton.click()
    process_events(finished(panel))
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    zipfile.ZipFile(tmp_path / "scene.mrb").extractall(tmp_path)  # as Slicer does, into its cache folder
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(next(tmp_path.rglob("*.mrml")))],
        cwd=Path(__file__).parent,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    facts, says, imported = run.stdout.strip().splitlines()[-3:]
    assert facts == "10 False True"
    assert "needs PyTorch" in says
    assert "GB" in says
    assert imported == "False"


def extension_that(install):
    logic = types.SimpleNamespace(installTorch=install)
    return types.SimpleNamespace(PyTorchUtilsLogic=lambda: logic)


def test_declining_the_download_of_pytorch_is_no_error(panel, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension_that(lambda **options: None))
    panel.ui.installButton.click()
    assert slicer.errors == []
    assert "PyTorch was not installed" in panel.ui.statusLabel.text()


def test_an_installation_that_fails_is_shown_and_the_panel_goes_on(panel, monkeypatch):
    def fail(**options):
        raise RuntimeError("no network")

    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension_that(fail))
    panel.ui.installButton.click()
    assert "no network" in slicer.errors[0]
    slicer.errors.clear()
    panel.ui.assessButton.click()
    process_events(finished(panel))
    assert slicer.errors == []
    assert panel.ui.resultsTable.rowCount() == 10


def test_a_slicer_that_is_too_old_is_told_so_in_the_panel(module, monkeypatch):
    monkeypatch.setattr(module, "TOO_OLD", True)
    for name in [name for name in sys.modules if name.startswith("SegQualityQCLib.widgets")]:
        monkeypatch.setitem(sys.modules, name, None)  # what does not import there
    widget = open_panel(module)
    sentences = [label.text() for label in widget.parent.findChildren(QtWidgets.QLabel)]
    assert any("needs Slicer 5.10 or newer" in sentence for sentence in sentences)
    assert not widget.parent.findChild(QtWidgets.QPushButton, "assessButton").isEnabled()
    slicer.mrmlScene.Clear(0)
    module.registerSampleData()  # registers nothing, or the import of SampleData would fail
    widget.exit()
    widget.cleanup()
    assert slicer.errors == []


def test_the_file_of_the_module_can_be_read_by_the_python_of_an_old_slicer(module):
    library = Path(sys.modules["SegQualityQCLib"].__file__).parent
    names = ("__init__.py", "errors.py", "resources.py")
    for path in (Path(module.__file__), *(library / name for name in names)):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
        imported = {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
        assert {name for name in imported if "SegQualityQCLib" in name} <= {
            "SegQualityQCLib.errors",
            "SegQualityQCLib.resources",
        }
        assert path.parent != library or imported <= sys.stdlib_module_names


def test_the_sample_heart_is_registered_in_the_sample_data_module(module, monkeypatch):
    registered = []
    logic = types.SimpleNamespace(registerCustomSampleDataSource=lambda **source: registered.append(source))
    monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=logic))
    module.registerSampleData()
    (source,) = registered
    assert source["sampleName"] == "SegQualityQCDemoHeart"
    assert callable(source["customDownloader"])


def test_the_self_test_of_the_module_passes(module):
    module.SegQualityQCTest("runTest").runTest()
