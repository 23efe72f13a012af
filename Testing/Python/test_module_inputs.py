"""What is chosen in the panel: nodes, segments and models; and inputs that cannot be assessed."""

import os
import re
import shutil

import numpy as np
import pytest
import slicer
import vtk
from PySide6 import QtCore, QtWidgets
from slicer_harness.application import leave_module, process_events, return_to_module
from slicer_harness.editing import edit_slice, slice_pixels
from slicer_harness.reviewing import wait
from slicer_harness.scenes import node_ids

from SegQualityQCLib.bundles.bundle import ModelBundle
from SegQualityQCLib.bundles.catalogue import find_bundle
from SegQualityQCLib.scene.result_nodes import TABLE, existing_node


@pytest.fixture
def panel(demo_panel):
    return demo_panel


def finished(panel):
    return lambda: not panel.steps.running


def test_another_segmentation_comes_with_its_own_image_and_whole(panel):
    first, image = panel.parameters.segmentation, panel.parameters.volume
    other_image, second = panel.logic.loadDemo()
    panel.ui.segmentsList.item(0).setCheckState(QtCore.Qt.Unchecked)
    assert panel.parameters.deselected
    panel.ui.segmentationSelector.show_value(second)
    assert panel.parameters.volume is other_image
    assert panel.ui.volumeSelector.currentNode() is other_image
    assert panel.parameters.deselected == ""
    assert panel.ui.segmentsList.item(0).checkState() == QtCore.Qt.Checked
    panel.ui.volumeSelector.show_value(image)  # what the user chooses stays
    assert (panel.parameters.segmentation, panel.parameters.volume) == (second, image)
    slicer.mrmlScene.RemoveNode(second)
    wait(panel)
    assert (panel.parameters.segmentation, panel.parameters.volume) == (first, image)


def test_what_is_chosen_together_with_a_segmentation_stays(panel):
    image = panel.parameters.volume
    other_image, second = panel.logic.loadDemo()
    wait(panel)
    panel.parameters.volume = None
    was_modifying = panel.parameters.StartModify()
    panel.parameters.segmentation, panel.parameters.volume, panel.parameters.deselected = second, image, "one"
    panel.parameters.EndModify(was_modifying)
    assert (panel.parameters.volume, panel.parameters.deselected) == (image, "one")
    leave_module()
    return_to_module()
    assert (panel.parameters.volume, panel.parameters.deselected) == (image, "one")
    assert other_image.GetScene() is not None


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
    assert re.search(BAD_INPUTS[make_bad], sentence)
    assert sentence.count(".") <= 3
    assert slicer.errors == []
    assert node_ids(slicer.mrmlScene) == before


def test_a_chosen_model_that_changes_on_disk_is_shown_as_it_is_now(panel, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(find_bundle("acdc-lv-myocardium-direct"), folder)
    metadata = folder / "configs" / "metadata.json"
    name = ModelBundle.load(folder).name
    panel.parameters.segmentation.GetSegmentation().GetNthSegment(0).SetName("LV myocardium")
    ((*_, shown, fits),) = panel.logic.segmentModels(panel.parameters.segmentation, str(folder))
    assert shown == name
    assert fits
    metadata.write_text(metadata.read_text(encoding="utf-8").replace(name, "another name"), encoding="utf-8")
    os.utime(metadata, (0, 0))
    ((*_, shown, fits),) = panel.logic.segmentModels(panel.parameters.segmentation, str(folder))
    assert shown == "another name"
    assert fits


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
    assert panel.ui.modelCombo.currentIndex() == 0
    assert panel.parameters.model == ""
    assert "acdc-lv-myocardium" in panel.ui.segmentsList.item(0).text()
    panel.ui.assessButton.click()
    process_events(finished(panel))
    assert panel.ui.resultsTable.rowCount() == 10
