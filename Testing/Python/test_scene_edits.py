"""Whatever is done to an assessed segmentation, in whatever order: results and drawing agree, nothing stays behind."""

import numpy as np
import pytest
import slicer
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from slicer_harness.editing import block, edit_slice, slice_pixels
from slicer_harness.scenes import new_scene
from vtk.util.numpy_support import vtk_to_numpy

from SegQualityQCLib.demo import demo_images
from SegQualityQCLib.estimators.loading import EstimatorCache
from SegQualityQCLib.scene.assessment import Request, iter_assess, remove_results
from SegQualityQCLib.scene.images import add_segmentation, add_volume
from SegQualityQCLib.scene.originals import restore_slice
from SegQualityQCLib.scene.rescoring import EditedCases, iter_rescore
from SegQualityQCLib.scene.result_nodes import OVERLAY, ROLES, TABLE, existing_node
from SegQualityQCLib.scene.reviews import Review
from SegQualityQCLib.scene.stored_results import read_results, write_reviews

ESTIMATORS = EstimatorCache()
IMAGE, LABELS = demo_images()
SLICES = st.integers(1, 8)


def shifted(pixels):
    return np.roll(pixels, 3, axis=1)


EDITS = {
    "erase": lambda pixels: pixels * 0,
    "shift": shifted,
    "half": lambda pixels: np.where(np.arange(pixels.shape[1]) < pixels.shape[1] // 2, pixels, 0),
    "nothing": lambda pixels: pixels,
    "draw": block,
}


class EditedScene(RuleBasedStateMachine):
    """Edits, undos, decisions, removals and closings in any order, with re-scoring now and then."""

    @initialize()
    def load(self):
        self.scene = new_scene()
        self.edited = EditedCases()
        self.undo = []
        self.volume = add_volume(self.scene, IMAGE, "volume")
        self.segmentation = add_segmentation(self.scene, LABELS, self.volume, "segmentation", names=["LV myocardium"])
        self.key = self.segmentation.GetSegmentation().GetNthSegmentID(0)
        self.nodes = self._names()
        self.current = False

    def _names(self):
        return {self.scene.GetNthNode(n).GetID() for n in range(self.scene.GetNumberOfNodes())}

    def present(self):
        return self.segmentation.GetScene() is not None

    def assessed(self):
        return self.present() and existing_node(self.segmentation, TABLE) is not None

    def has_segment(self):
        return self.present() and self.segmentation.GetSegmentation().GetSegment(self.key) is not None

    def drawn(self):
        return self.has_segment() and any(slice_pixels(self.segmentation, self.key, n) for n in range(10))

    @precondition(drawn)
    @rule()
    def assess(self):
        list(iter_assess(Request(self.volume, self.segmentation), ESTIMATORS))
        self.current = True

    @precondition(drawn)
    @rule()
    def begin_to_assess_and_stop(self):
        before = self._names()
        steps = iter_assess(Request(self.volume, self.segmentation), ESTIMATORS)
        next(steps)
        steps.close()
        assert self._names() == before

    @precondition(drawn)
    @rule(index=st.integers(0, 9), edit=st.sampled_from(sorted(EDITS)))
    def edit(self, index, edit):
        copy = slicer.vtkSegmentation()
        copy.DeepCopy(self.segmentation.GetSegmentation())
        self.undo.append(copy)
        edit_slice(self.segmentation, self.key, index, EDITS[edit])
        self.current = False

    @precondition(lambda self: self.has_segment() and self.undo)
    @rule()
    def take_back(self):
        segment = self.undo.pop().GetSegment(self.key)
        self.segmentation.GetSegmentation().GetSegment(self.key).DeepCopy(segment)
        self.current = False

    @precondition(lambda self: self.assessed() and self.has_segment())
    @rule(index=SLICES)
    def restore(self, index):
        restore_slice(self.segmentation, self.volume, self.key, "k", index)
        self.current = False

    @precondition(assessed)
    @rule(index=SLICES, decision=st.sampled_from(["accepted", "flagged"]))
    def review(self, index, decision):
        reviews = read_results(self.segmentation).reviews
        write_reviews(self.segmentation, reviews.with_slice(self.key, index, Review.now(decision, "A")))

    @precondition(lambda self: self.assessed())
    @rule()
    def score_again(self):
        list(iter_rescore(self.segmentation, ESTIMATORS, self.edited, threshold=0.7))
        self.current = True

    @precondition(has_segment)
    @rule()
    def remove_segment(self):
        self.segmentation.GetSegmentation().RemoveSegment(self.key)
        self.current = False

    @precondition(present)
    @rule()
    def remove_the_results_and_the_segmentation(self):
        remove_results(self.segmentation)
        left = {self.scene.GetNodeByID(node).GetName() for node in self._names() - self.nodes}
        assert left <= {"SegQualityQC predicted Dice"}
        assert self.segmentation.GetSegmentation().GetNumberOfSegments() <= 1
        self.scene.RemoveNode(self.segmentation)

    @rule()
    def close(self):
        self.scene.Clear(0)
        assert self.scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0
        self.load()

    @invariant()
    def no_result_without_its_segmentation(self):
        if not hasattr(self, "scene") or not self.present():
            return
        for role in ROLES:
            for n in range(self.segmentation.GetNumberOfNodeReferences(role)):
                assert self.segmentation.GetNthNodeReference(role, n) is not None

    @invariant()
    def scores_are_those_of_what_is_drawn(self):
        if not hasattr(self, "scene") or not self.assessed() or not self.current:
            return
        results = read_results(self.segmentation)
        overlay = existing_node(self.segmentation, OVERLAY).GetImageData()
        values = vtk_to_numpy(overlay.GetPointData().GetScalars()).reshape(overlay.GetDimensions()[::-1])
        if not self.has_segment():
            assert results.reports == {}
            assert (values < 0).all()
            return
        for score in results.reports[self.key].slices:
            pixels = slice_pixels(self.segmentation, self.key, score.index)
            assert bool(pixels) == (score.status.value not in ("empty", "gap"))
            painted = {(int(i), int(j)) for j, i in np.argwhere(values[score.index] >= 0)}
            assert painted == (pixels if score.dice is not None else set())


TestEditedScene = EditedScene.TestCase
TestEditedScene.settings = settings(
    max_examples=8, stateful_step_count=15, suppress_health_check=list(HealthCheck), deadline=None
)


@pytest.mark.slow
def test_a_hundred_edits_in_random_order_leave_nothing_behind():
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        EditedScene,
        settings=settings(
            max_examples=25, stateful_step_count=100, suppress_health_check=list(HealthCheck), deadline=None
        ),
    )
