"""Reports become nodes that are saved with the scene, updated by the next run and restored from disk."""

import zipfile

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from slicer_harness.scenes import new_scene, node_ids
from test_scene_cases import OBLIQUE, turned
from vtk.util.numpy_support import vtk_to_numpy

from SegQualityQCLib.demo import demo_images
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.loading import EstimatorCache
from SegQualityQCLib.scene.assessment import Request, iter_assess, remove_results
from SegQualityQCLib.scene.images import add_segmentation, add_volume
from SegQualityQCLib.scene.navigation import go_to_segment, go_to_slice
from SegQualityQCLib.scene.node_cases import case_of, ijk_to_world, labelmap_of, segment_ids
from SegQualityQCLib.scene.originals import keep_original, restore_slice
from SegQualityQCLib.scene.result_nodes import CHART, DIFFERENCE, OVERLAY, SURFACE, TABLE, existing_node
from SegQualityQCLib.scene.stored_results import assessed_volume, position_along_normal, read_results, slice_positions

ESTIMATORS = EstimatorCache()


@pytest.fixture
def loaded():
    image, labels = demo_images()
    scene = new_scene()
    volume = add_volume(scene, turned(image, OBLIQUE), "volume")
    segmentation = add_segmentation(scene, turned(labels, OBLIQUE), volume, "segmentation", names=["LV myocardium"])
    return scene, volume, segmentation


def assessed(request):
    return list(iter_assess(request, ESTIMATORS))[-1].reports


def test_an_assessment_writes_table_chart_overlay_and_surface(loaded):
    _, volume, segmentation = loaded
    ((key, report),) = assessed(Request(volume, segmentation)).items()
    table = existing_node(segmentation, TABLE)
    assert table.GetTable().GetNumberOfRows() == 10
    assert table.GetAttribute("SegQualityQC.ModelSHA256") == report.model.sha256
    assert assessed_volume(segmentation) is volume
    chart = existing_node(segmentation, CHART)
    assert chart.GetNumberOfPlotSeriesNodes() == 5  # threshold, low slices, Dice, its interval's ends
    overlay = existing_node(segmentation, OVERLAY)
    values = vtk_to_numpy(overlay.GetImageData().GetPointData().GetScalars()).reshape(10, -1)
    for score in report.slices:
        assert values[score.index].max() == pytest.approx(-1.0 if score.dice is None else score.dice)
    assert slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(overlay.GetDisplayNode()) is not None
    surface = existing_node(segmentation, SURFACE, key).GetPolyData()
    dice = vtk_to_numpy(surface.GetPointData().GetArray("PredictedDice"))
    assert set(np.round(dice, 5)) == {np.float32(round(s.dice, 5)) for s in report.slices if s.dice is not None}


@pytest.mark.parametrize("model", ["acdc-lv-myocardium", "acdc-lv-myocardium-direct"])
def test_the_difference_image_becomes_a_volume_or_the_model_says_that_it_makes_none(loaded, model):
    _, volume, segmentation = loaded
    *_, last = iter_assess(Request(volume, segmentation, model=model, difference=True), ESTIMATORS)
    difference = existing_node(segmentation, DIFFERENCE)
    if model.endswith("-direct"):
        assert last.text == f"The model {model} makes no difference image."
        assert difference is None
    else:
        assert last.text == ""
        assert difference.GetImageData().GetNumberOfPoints() > 0
        list(iter_assess(Request(volume, segmentation, model=model), ESTIMATORS))  # without one: the old would mislead
        assert existing_node(segmentation, DIFFERENCE) is None
        assert difference.GetScene() is None


def test_running_again_updates_the_same_nodes(loaded):
    scene, volume, segmentation = loaded
    assessed(Request(volume, segmentation))
    before = node_ids(scene)
    assessed(Request(volume, segmentation, threshold=0.9))
    assert node_ids(scene) == before


def test_removing_the_results_leaves_the_scene_as_it_was_but_for_the_colours(loaded):
    scene, volume, segmentation = loaded
    before = set(node_ids(scene))
    assessed(Request(volume, segmentation))
    remove_results(segmentation)
    left = [scene.GetNodeByID(i).GetName() for i in set(node_ids(scene)) - before]
    assert left == ["SegQualityQC predicted Dice"]


def test_a_stopped_assessment_leaves_the_scene_as_it_was(loaded):
    scene, volume, segmentation = loaded
    before = node_ids(scene)
    steps = iter_assess(Request(volume, segmentation), ESTIMATORS)
    for _ in range(4):
        next(steps)
    steps.close()
    assert node_ids(scene) == before


def test_a_removed_node_ends_the_assessment_with_a_sentence(loaded):
    scene, volume, segmentation = loaded
    steps = iter_assess(Request(volume, segmentation), ESTIMATORS)
    next(steps)
    scene.RemoveNode(segmentation)
    before = node_ids(scene)
    with pytest.raises(InputError, match="removed from the scene"):
        list(steps)
    assert node_ids(scene) == before


@pytest.mark.parametrize("form", ["mrb", "mrml"])
def test_results_survive_saving_and_loading(loaded, tmp_path, form):
    scene, volume, segmentation = loaded
    reports = assessed(Request(volume, segmentation))
    if form == "mrb":
        assert scene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    else:
        for n in range(scene.GetNumberOfNodes()):
            node = scene.GetNthNode(n)
            if node.IsA("vtkMRMLStorableNode") and node.GetStorageNode() is None and node.GetSaveWithScene():
                node.AddDefaultStorageNode()
                storage = node.GetStorageNode()
                if storage is not None:
                    extension = storage.GetDefaultWriteFileExtension()
                    storage.SetFileName(str(tmp_path / f"{node.GetID()}.{extension}"))
                    storage.WriteData(node)
        scene.SetURL(str(tmp_path / "scene.mrml"))
        assert scene.Commit()
    fresh = new_scene()
    if form == "mrb":
        zipfile.ZipFile(tmp_path / "scene.mrb").extractall(tmp_path)  # as Slicer does, into its cache folder
    fresh.SetURL(str(next(tmp_path.rglob("*.mrml"))))
    assert fresh.Connect()
    restored = fresh.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert read_results(restored).reports == reports
    assert assessed_volume(restored).GetName() == "volume"
    assert existing_node(restored, TABLE).GetTable().GetNumberOfRows() == 10
    assert existing_node(restored, OVERLAY).GetImageData() is not None
    before = node_ids(fresh)
    assessed(Request(assessed_volume(restored), restored))
    assert node_ids(fresh) == before


def test_a_view_lands_exactly_on_an_oblique_slice(loaded):
    scene, volume, _ = loaded
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    turn = vtk.vtkTransform()
    turn.RotateX(20)
    turn.Translate(5, 6, 7)
    transform.SetMatrixTransformToParent(turn.GetMatrix())
    volume.SetAndObserveTransformNodeID(transform.GetID())
    view = scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    for axis in "ijk":
        centres = slice_positions(volume, axis)
        for index in (0, 3, len(centres) - 1):
            go_to_slice(view, volume, axis, index)
            origin = [view.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
            np.testing.assert_allclose(origin, centres[index], atol=0.01)
            normal = [view.GetSliceToRAS().GetElement(row, 2) for row in range(3)]
            in_plane = centres[index] - centres[index - 1]
            assert abs(abs(np.dot(normal, in_plane)) - np.linalg.norm(in_plane)) < 1e-6


def test_an_axial_view_stays_axial():
    """Slicer's axial view is left-handed: turned over, its slider would run the other way."""
    scene = new_scene()
    volume = add_volume(scene, demo_images()[0], "volume")
    view = scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    view.SetOrientationToAxial()
    go_to_slice(view, volume, "k", 3)
    assert view.GetOrientation() == "Axial"
    assert view.GetSliceOffset() == pytest.approx(position_along_normal(volume, "k")[3], abs=0.01)
    for axis, orientation in (("j", "Coronal"), ("i", "Sagittal")):
        go_to_slice(view, volume, axis, 3)
        assert view.GetOrientation() == orientation
        assert view.GetSliceOffset() == pytest.approx(position_along_normal(volume, axis)[3], abs=0.01)


def test_a_jump_centres_on_what_is_drawn_in_the_slice_and_in_a_gap_on_what_is_drawn_elsewhere(loaded):
    scene, volume, segmentation = loaded
    case = case_of(volume, segmentation, segment_ids(segmentation)[0])
    assert case.axis == 2
    drawn = np.argwhere(sitk.GetArrayFromImage(case.mask))[:, ::-1]  # i, j, k
    red, yellow = (scene.AddNewNodeByClass("vtkMRMLSliceNode", name) for name in ("Red", "Yellow"))
    for index, here in ((6, drawn[drawn[:, 2] == 6]), (4, drawn)):  # the demo's slice 4 is a gap
        go_to_segment([red, yellow], volume, case, index)
        expected = (ijk_to_world(volume) @ [*here[:, :2].mean(axis=0), index, 1])[:3]
        centre = [red.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
        np.testing.assert_allclose(centre, expected, atol=1e-3)
    assert (drawn[:, 2] == 4).sum() == 0
    size_mm = (np.ptp(drawn, axis=0) + 1) * case.spacing_mm
    assert min(red.GetFieldOfView()[:2]) == pytest.approx(max(1.8 * size_mm[:2].max(), 40.0))


def test_the_copy_from_before_shares_its_layers_as_the_segmentation_does(loaded):
    _, _, segmentation = loaded
    layers = segmentation.GetSegmentation().GetNumberOfLayers()
    copy = keep_original(segmentation).GetSegmentation()
    assert (copy.GetNumberOfLayers(), copy.GetNumberOfSegments()) == (
        layers,
        segmentation.GetSegmentation().GetNumberOfSegments(),
    )


def test_an_erased_slice_is_taken_back_also_into_a_segmentation_that_was_made_finer_since(loaded):
    _, volume, segmentation = loaded
    (key,) = segment_ids(segmentation)
    keep_original(segmentation)
    before = sitk.GetArrayFromImage(case_of(volume, segmentation, key).mask)
    drawn, geometry, finer = (
        labelmap_of(segmentation, key),
        slicer.vtkOrientedImageData(),
        slicer.vtkOrientedImageData(),
    )
    geometry.DeepCopy(drawn)
    slicer.vtkCalculateOversamplingFactor.ApplyOversamplingOnImageGeometry(geometry, 2)
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(drawn, geometry, finer)
    pixels = vtk_to_numpy(finer.GetPointData().GetScalars()).reshape(finer.GetDimensions()[::-1])
    pixels[16 - finer.GetExtent()[4] :] = 0  # slice 8, the last drawn one
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(finer, segmentation, key, logic.MODE_REPLACE)
    assert not sitk.GetArrayFromImage(case_of(volume, segmentation, key).mask)[8].any()
    assert before[8].any()
    restore_slice(segmentation, volume, key, "k", 8)
    assert (sitk.GetArrayFromImage(case_of(volume, segmentation, key).mask) == before).all()


def test_hidden_nodes_are_hidden_when_they_enter_the_scene(loaded):
    scene, _, segmentation = loaded
    hidden = []

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def added(caller, event, node):
        hidden.append(node.GetHideFromEditors())

    tag = scene.AddObserver(scene.NodeAddedEvent, added)
    keep_original(segmentation)
    scene.RemoveObserver(tag)
    assert hidden[0] == 1
