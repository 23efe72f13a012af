"""MRML nodes become cases on the volume's grid, in world coordinates."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from slicer_harness.scenes import new_scene, separate_layers

from SegQualityQCLib.demo import demo_images, demo_reference
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.scene.images import add_segmentation, add_volume
from SegQualityQCLib.scene.node_cases import case_of, segment_ids

OBLIQUE = sitk.Euler3DTransform((0, 0, 0), 0.4, -0.3, 0.7).GetMatrix()
FLIPPED = (1, 0, 0, 0, -1, 0, 0, 0, -1)
MIRRORED = (-1, 0, 0, 0, 1, 0, 0, 0, 1)


def turned(image, direction):
    image = sitk.Image(image)
    image.SetDirection(direction)
    return image


def array(image):
    return sitk.GetArrayFromImage(image)


@pytest.mark.parametrize("direction", [OBLIQUE, FLIPPED, MIRRORED], ids=["oblique", "flipped", "mirrored"])
@pytest.mark.parametrize("separate", [False, True], ids=["shared layer", "separate layers"])
def test_a_case_holds_the_voxels_and_the_geometry_of_its_nodes(direction, separate):
    image, labels = turned(demo_images()[0], direction), turned(demo_reference(), direction)
    scene = new_scene()
    volume = add_volume(scene, image, "volume")
    segmentation = add_segmentation(scene, labels, volume, "segmentation")
    if separate:
        separate_layers(segmentation)
    for label, key in enumerate(segment_ids(segmentation), start=1):
        case = case_of(volume, segmentation, key)
        assert (array(case.mask) == (array(labels) == label)).all()
        assert (array(case.image) == array(image)).all()
        np.testing.assert_allclose(case.image.GetDirection(), direction, atol=1e-9)
        np.testing.assert_allclose(case.image.GetOrigin(), image.GetOrigin(), atol=1e-9)
        assert case.flags == ()


def test_a_segmentation_smaller_than_the_volume_is_brought_onto_its_grid():
    image, labels = demo_images()
    scene = new_scene()
    volume = add_volume(scene, image, "volume")
    small = labels[60:190, 70:180, 1:9]
    segmentation = add_segmentation(scene, small, volume, "segmentation")
    case = case_of(volume, segmentation, segment_ids(segmentation)[0])
    assert (array(case.mask) == (array(labels) > 0)).all()


@pytest.mark.parametrize("both", [False, True], ids=["segmentation alone", "both nodes"])
def test_a_parent_transform_counts(both):
    image, labels = demo_images()
    scene = new_scene()
    volume, transform = add_volume(scene, image, "volume"), scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    segmentation = add_segmentation(scene, labels, volume, "segmentation")
    shift = np.eye(4)
    shift[0, 3] = 3.0  # right to left is -x in LPS: two voxels of 1.5 mm towards lower i
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shift))
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    if both:
        volume.SetAndObserveTransformNodeID(transform.GetID())
    case = case_of(volume, segmentation, segment_ids(segmentation)[0])
    expected = array(labels) > 0
    assert (array(case.mask) == (expected if both else np.roll(expected, -2, axis=2))).all()


def test_the_snomed_code_of_a_segment_is_read_from_its_terminology():
    image, labels = demo_images()
    scene = new_scene()
    volume = add_volume(scene, image, "volume")
    segmentation = add_segmentation(scene, labels, volume, "segmentation")
    key = segment_ids(segmentation)[0]
    for kind, code in (("SCT^87878005", "87878005"), ("SRT^T-32600", None)):
        entry = f"Category~SCT^123037004^Anatomical Structure~{kind}^Left ventricle~^^~Anatomic~^^~^^"
        segmentation.GetSegmentation().GetSegment(key).SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), entry)
        assert case_of(volume, segmentation, key).terminology_code == code


def test_what_cannot_be_assessed_is_said_in_a_sentence():
    image, labels = demo_images()
    scene = new_scene()
    volume = add_volume(scene, image, "volume")
    segmentation = add_segmentation(scene, labels, volume, "segmentation")
    empty = segmentation.GetSegmentation().AddEmptySegment("nothing", "nothing")
    with pytest.raises(InputError, match="nothing of segmentation is empty"):
        case_of(volume, segmentation, empty)
    with pytest.raises(InputError, match="no segment absent"):
        case_of(volume, segmentation, "absent")
    with pytest.raises(InputError, match="No volume is chosen"):
        case_of(None, segmentation, segment_ids(segmentation)[0])
    with pytest.raises(InputError, match="has no pixels"):
        case_of(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"), segmentation, segment_ids(segmentation)[0])
    far = sitk.Image(image)
    far.SetOrigin((5000, 0, 0))
    with pytest.raises(InputError, match="does not overlap"):
        case_of(add_volume(scene, far, "volume"), segmentation, segment_ids(segmentation)[0])
