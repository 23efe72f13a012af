"""The panel for real: its .ui file and its class on Qt, with the real scene."""

import ast
import os
import re
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from PySide6 import QtCore, QtWidgets
from slicer_harness.application import open_panel, process_events, start
from slicer_harness.editing import edit_slice, slice_pixels
from slicer_harness.scenes import node_ids

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.bundles.catalogue import find_bundle
from SegQualityQCLib.scene.images import add_segmentation, add_volume
from SegQualityQCLib.scene.result_nodes import OVERLAY, TABLE, existing_node


@pytest.fixture
def module():
    return start()


@pytest.fixture
def panel(module):
    module.SegQualityQCLogic().loadDemo()
    widget = open_panel(module)
    yield widget
    widget.cleanup()


def finished(panel):
    return lambda: panel.steps.running is False


def settle(panel):
    """Until the panel has noticed what happened and has no work left."""
    for _ in range(3):
        QtWidgets.QApplication.processEvents()
        process_events(lambda: not (panel.steps.running or panel.follower._timer.isActive()), seconds=120)


def test_with_one_volume_and_one_segmentation_assess_is_enabled_at_once(panel):
    assert panel.ui.assessButton.isEnabled()
    assert panel.ui.volumeSelector.currentNode().GetName() == "DemoHeart"
    assert "acdc-lv-myocardium" in panel.ui.segmentsList.item(0).text()


def test_assess_shows_the_slices_worst_first(panel):
    panel.ui.assessButton.click()
    process_events(finished(panel))
    assert slicer.errors == []
    assert panel.ui.statusLabel.text() == ""
    assert panel.ui.resultsTable.rowCount() == 10
    assert panel.ui.resultsTable.item(0, 1).text() == "4"
    assert panel.ui.resultsTable.item(0, 4).text() == "gap"
    assert existing_node(panel.parameters.segmentation, OVERLAY) is not None


@pytest.fixture
def refreshes(panel, monkeypatch):
    """Counts how often the panel is shown anew."""
    counted, refresh = [], panel.refresh
    monkeypatch.setattr(panel, "refresh", lambda: counted.append(1) or refresh())
    return counted


def test_nodes_that_come_and_go_are_looked_at_once_and_only_where_they_matter(panel, refreshes):
    settle(panel)
    refreshes.clear()
    panel.ui.assessButton.click()
    settle(panel)
    assert 1 <= len(refreshes) <= 4  # one of them after the slices were looked at for edits
    refreshes.clear()
    nodes = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode") for _ in range(20)]
    settle(panel)
    for node in nodes:
        slicer.mrmlScene.RemoveNode(node)
    settle(panel)
    assert refreshes == []
    slicer.mrmlScene.RemoveNode(existing_node(panel.parameters.segmentation, TABLE))
    settle(panel)
    assert len(refreshes) == 1 and panel.ui.resultsTable.rowCount() == 0


def test_results_that_a_script_makes_are_shown(panel):
    panel.logic.assess(panel.parameters.volume, panel.parameters.segmentation)
    settle(panel)
    assert panel.ui.resultsTable.rowCount() == 10


def test_a_chosen_model_is_read_once_and_again_when_it_changes(panel, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    shutil.copytree(find_bundle("acdc-lv-myocardium-direct"), folder)
    read, load = [], ModelBundle.load
    monkeypatch.setattr(ModelBundle, "load", lambda folder: read.append(folder) or load(folder))
    shown = [panel.logic.segmentModels(panel.parameters.segmentation, str(folder)) for _ in range(3)]
    assert shown[0] == shown[1] == shown[2] and len(read) == 1
    os.utime(folder / "configs" / "metadata.json", (0, 0))
    panel.logic.segmentModels(panel.parameters.segmentation, str(folder))
    assert len(read) == 2


def test_another_segmentation_comes_with_its_own_image_and_whole(panel):
    first, image = panel.parameters.segmentation, panel.parameters.volume
    other_image, second = panel.logic.loadDemo()
    panel.ui.segmentsList.item(0).setCheckState(QtCore.Qt.Unchecked)
    assert panel.parameters.deselected
    panel.ui.segmentationSelector.show_value(second)
    assert panel.parameters.volume is other_image and panel.ui.volumeSelector.currentNode() is other_image
    assert panel.parameters.deselected == ""
    assert panel.ui.segmentsList.item(0).checkState() == QtCore.Qt.Checked
    panel.ui.volumeSelector.show_value(image)  # what the user chooses stays
    assert (panel.parameters.segmentation, panel.parameters.volume) == (second, image)
    slicer.mrmlScene.RemoveNode(second)
    settle(panel)
    assert (panel.parameters.segmentation, panel.parameters.volume) == (first, image)


def test_what_is_chosen_together_with_a_segmentation_stays(panel):
    image = panel.parameters.volume
    other_image, second = panel.logic.loadDemo()
    settle(panel)
    panel.parameters.volume = None
    was_modifying = panel.parameters.StartModify()
    panel.parameters.segmentation, panel.parameters.volume, panel.parameters.deselected = second, image, "one"
    panel.parameters.EndModify(was_modifying)
    assert (panel.parameters.volume, panel.parameters.deselected) == (image, "one")
    panel.exit()
    panel.enter()
    assert (panel.parameters.volume, panel.parameters.deselected) == (image, "one")
    assert other_image.GetScene() is not None


def test_cancel_in_the_same_button_changes_nothing(panel):
    panel.ui.assessButton.click()
    assert panel.ui.assessButton.text() == "Cancel"
    panel.ui.assessButton.click()
    assert panel.ui.assessButton.text() == "Assess"
    assert existing_node(panel.parameters.segmentation, TABLE) is None


def test_an_empty_segment_is_left_out_and_alone_it_is_one_sentence_in_the_panel(panel):
    segmentation = panel.parameters.segmentation
    segmentation.GetSegmentation().AddEmptySegment("nothing", "nothing")
    panel.ui.segmentsList.item(0).setCheckState(QtCore.Qt.Unchecked)
    panel.ui.assessButton.click()
    process_events(finished(panel))
    assert "nothing of DemoHeart segmentation is empty" in panel.ui.statusLabel.text()
    assert existing_node(segmentation, TABLE) is None
    panel.ui.segmentsList.item(0).setCheckState(QtCore.Qt.Checked)
    panel.ui.assessButton.click()
    process_events(finished(panel))
    assert "Empty, and left out: nothing." in panel.ui.statusLabel.text()
    assert len(panel.results.reports) == 1


def array_of(node):
    return slicer.util.arrayFromVolume(node)


def constant(volume, segmentation):
    array_of(volume)[:] = 7
    slicer.util.arrayFromVolumeModified(volume)


def infinite(volume, segmentation):
    slicer.util.updateVolumeFromArray(volume, np.where(array_of(volume) > 500, np.inf, array_of(volume)))


def without_pixels(volume, segmentation):
    volume.SetAndObserveImageData(None)


def elsewhere(volume, segmentation):
    volume.SetOrigin(5000, 0, 0)


def flat(volume, segmentation):
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    for row in range(3):
        matrix.SetElement(row, 1, matrix.GetElement(row, 0))
    volume.SetIJKToRASMatrix(matrix)


def erased(volume, segmentation):
    key = segmentation.GetSegmentation().GetNthSegmentID(0)
    for index in range(10):
        if slice_pixels(segmentation, key, index):
            edit_slice(segmentation, key, index, lambda pixels: pixels * 0)


def without_segments(volume, segmentation):
    segmentation.GetSegmentation().RemoveAllSegments()


BAD_INPUTS = {
    constant: "is constant",
    infinite: "NaN or infinite",
    without_pixels: "has no pixels",
    elsewhere: "does not overlap",
    flat: "degenerate|impossible geometry",
    erased: "is empty",
    without_segments: "has no segments|tick at least one",
}


@pytest.mark.parametrize("make_bad", BAD_INPUTS, ids=lambda function: function.__name__)
def test_each_bad_input_is_one_sentence_and_leaves_the_scene_as_it_was(panel, make_bad):
    volume, segmentation = panel.parameters.volume, panel.parameters.segmentation
    make_bad(volume, segmentation)
    before = node_ids(slicer.mrmlScene)
    panel.ui.assessButton.click()
    process_events(finished(panel))
    sentence = panel.ui.statusLabel.text()
    assert re.search(BAD_INPUTS[make_bad], sentence) and sentence.count(".") <= 3
    assert slicer.errors == []
    assert node_ids(slicer.mrmlScene) == before


def test_a_damaged_model_is_refused_when_it_is_added(panel, tmp_path, monkeypatch):
    source = tmp_path / "stranger"
    shutil.copytree(find_bundle("acdc-lv-myocardium-direct"), source)
    weights = source / "models" / "reg_net.pt"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(QtWidgets.QFileDialog, "getExistingDirectory", lambda *_: str(source))
    panel.ui.addModelButton.click()
    assert "checksum" in panel.ui.statusLabel.text()
    assert panel.ui.modelCombo.findText("stranger") < 0


def test_a_model_that_is_added_can_be_chosen(panel, tmp_path, monkeypatch):
    source = tmp_path / "my-model"
    shutil.copytree(find_bundle("acdc-lv-myocardium-direct"), source)
    monkeypatch.setattr(QtWidgets.QFileDialog, "getExistingDirectory", lambda *_: str(source))
    panel.ui.addModelButton.click()
    panel.ui.modelCombo.setCurrentIndex(panel.ui.modelCombo.findText("my-model"))
    panel.ui.assessButton.click()
    process_events(finished(panel))
    assert panel.ui.resultsTable.rowCount() == 10


def test_a_model_that_comes_with_the_library_is_kept_by_its_name(panel):
    panel.ui.modelCombo.setCurrentIndex(panel.ui.modelCombo.findText("acdc-lv-myocardium-direct"))
    assert panel.parameters.model == "acdc-lv-myocardium-direct"
    panel.ui.assessButton.click()
    process_events(finished(panel))
    (report,) = panel.results.reports.values()
    assert report.model.name == ModelBundle.load(find_bundle("acdc-lv-myocardium-direct")).name


def test_a_model_that_is_not_here_gives_way_to_the_one_that_is_shown(panel):
    panel.parameters.model = "/of/another/computer"
    assert panel.ui.modelCombo.currentIndex() == 0 and panel.parameters.model == ""
    assert "acdc-lv-myocardium" in panel.ui.segmentsList.item(0).text()
    panel.ui.assessButton.click()
    process_events(finished(panel))
    assert panel.ui.resultsTable.rowCount() == 10


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

panel = open_panel(start())
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
    assert "needs PyTorch" in says and "GB" in says
    assert imported == "False"


def extension_that(install):
    logic = types.SimpleNamespace(installTorch=install)
    return types.SimpleNamespace(PyTorchUtilsLogic=lambda: logic)


def test_declining_the_download_of_pytorch_is_no_error(panel, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension_that(lambda **options: None))
    panel.ui.installButton.click()
    assert slicer.errors == []
    assert "PyTorch was not installed" in panel.ui.statusLabel.text()


def test_an_installation_that_fails_is_shown_and_the_panel_is_shown_anew(panel, refreshes, monkeypatch):
    def fail(**options):
        raise RuntimeError("no network")

    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension_that(fail))
    with pytest.raises(RuntimeError, match="no network"):
        panel.inputs._install_torch()
    assert "no network" in slicer.errors[0] and len(refreshes) == 1


def test_a_slicer_that_is_too_old_is_told_so_in_the_panel(module, monkeypatch):
    monkeypatch.setattr(module, "TOO_OLD", True)
    for name in [name for name in sys.modules if name.startswith("SegQualityQCLib.widgets")]:
        monkeypatch.setitem(sys.modules, name, None)  # what does not import there
    panel = open_panel(module)
    sentences = [label.text() for label in panel.parent.findChildren(QtWidgets.QLabel)]
    assert any("needs Slicer 5.10 or newer" in sentence for sentence in sentences)
    assert not panel.parent.findChild(QtWidgets.QPushButton, "assessButton").isEnabled()
    slicer.mrmlScene.Clear(0)
    module.registerSampleData()  # registers nothing, or the import of SampleData would fail
    panel.exit()
    panel.cleanup()
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
        assert path.parent != library or imported <= {"__future__", "pathlib"}


def test_the_sample_heart_is_registered_in_the_sample_data_module(module, monkeypatch):
    registered = []
    logic = types.SimpleNamespace(registerCustomSampleDataSource=lambda **source: registered.append(source))
    monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=logic))
    module.registerSampleData()
    (source,) = registered
    assert source["sampleName"] == "SegQualityQCDemoHeart" and callable(source["customDownloader"])


def test_a_real_patient_is_assessed_in_the_panel(module, acdc_root):
    folder = sorted((acdc_root / "training").glob("patient*"))[0]
    image = sorted(folder.glob("*frame??.nii.gz"))[0]
    labels = sitk.ReadImage(str(image).replace(".nii.gz", "_gt.nii.gz"))
    volume = add_volume(slicer.mrmlScene, sitk.ReadImage(str(image)), "patient")
    names = ["RV cavity", "LV myocardium", "LV cavity"]
    add_segmentation(slicer.mrmlScene, labels, volume, "reference", names)
    panel = open_panel(module)
    for row in (0, 2):
        panel.ui.segmentsList.item(row).setCheckState(QtCore.Qt.Unchecked)
    panel.ui.assessButton.click()
    process_events(finished(panel))
    assert slicer.errors == []
    assert panel.ui.statusLabel.text() == ""
    (report,) = panel.results.reports.values()
    assert report.case.segment == "LV myocardium"
    assert report.volume.dice > 0.7  # it is the reference
    panel.cleanup()


def test_closing_the_scene_ends_an_assessment(panel):
    panel.ui.assessButton.click()
    slicer.mrmlScene.Clear(0)
    process_events(finished(panel))
    assert not panel.ui.assessButton.isEnabled()
    assert "the scene was closed" in panel.ui.statusLabel.text()


def test_an_assessment_goes_on_while_another_module_is_open(panel):
    segmentation = panel.parameters.segmentation
    panel.ui.assessButton.click()
    panel.exit()
    process_events(finished(panel))
    assert existing_node(segmentation, TABLE) is not None
    panel.enter()
    process_events(finished(panel))
    assert slicer.errors == [] and panel.ui.statusLabel.text() == ""
    assert panel.ui.resultsTable.rowCount() == 10 and panel.ui.assessButton.text() == "Assess"


def test_a_return_to_the_panel_finds_the_assessment_running(panel):
    panel.ui.assessButton.click()
    panel.exit()
    panel.enter()
    assert panel.steps.running and panel.ui.assessButton.text() == "Cancel"
    process_events(finished(panel))
    assert panel.ui.resultsTable.rowCount() == 10


def test_the_self_test_of_the_module_passes(module):
    module.SegQualityQCTest("runTest").runTest()
