"""All work on the segmentations of a scene that needs loaded models or the image that was read last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..errors import SegQualityError
from ..estimators.loading import EstimatorCache
from .assessment import Progress, Request, iter_assess, model_fits
from .navigation import go_to_segment
from .node_cases import segment_ids
from .rescoring import EditedCases, iter_rescore
from .reviews import Review
from .sign_off import sign_case, sign_slice
from .stored_results import assessed_volume, read_results
from .visibility import slice_nodes


class SceneScorer:
    """Assesses, scores again, signs and shows slices; each model is loaded once, and each image read once.

    Example::

        scorer = SceneScorer()
        for progress in scorer.iter_assess(volume_node, segmentation_node):
            print(progress.text)

    Args:
        model_folders: The user's own folders of models.
    """

    def __init__(self, model_folders: tuple[str, ...] = ()) -> None:
        self.model_folders = model_folders
        self._estimators = EstimatorCache(model_folders)
        self._edited = EditedCases()

    def iter_assess(self, volume_node: Any, segmentation_node: Any, **options: Any) -> Iterator[Progress]:
        """The steps of an assessment; the options are the other attributes of :class:`.assessment.Request`."""
        return iter_assess(Request(volume_node, segmentation_node, **options), self._estimators)

    def iter_rescore(self, segmentation_node: Any, threshold: float) -> Iterator[Progress]:
        """The steps of scoring edited slices again; see :func:`.rescoring.iter_rescore`."""
        return iter_rescore(segmentation_node, self._estimators, self._edited, threshold=threshold)

    def sign_slice(self, segmentation_node: Any, segment_id: str, index: int, review: Review) -> None:
        """Keep a decision on a slice as it is drawn now; see :func:`.sign_off.sign_slice`."""
        sign_slice(segmentation_node, self._edited, segment_id, index, review)

    def sign_case(self, segmentation_node: Any, review: Review) -> None:
        """Keep a decision on the whole case as it is drawn now; see :func:`.sign_off.sign_case`."""
        sign_case(segmentation_node, self._edited, review)

    def segment_models(self, segmentation_node: Any, model: str | None = None) -> list[tuple[str, str, str, bool]]:
        """Identifier, name, name of the model and whether it fits, of each segment.

        Args:
            segmentation_node: The segmentation.
            model: Name or folder of a model; ``None`` takes the one that fits each segment.
        """
        request = Request(None, segmentation_node, model=model)
        found = []
        for segment_id in segment_ids(segmentation_node):
            name = segmentation_node.GetSegmentation().GetSegment(segment_id).GetName()
            try:
                found.append((segment_id, name, *model_fits(request, segment_id, self._estimators.selection)))
            except SegQualityError:
                found.append((segment_id, name, _("no usable model"), True))
        return found

    def go_to_slice(self, segmentation_node: Any, segment_id: str, index: int) -> None:
        """Take all slice views to a slice of a segment: the red one in its plane, the others across it.

        Nothing happens where the segment or the volume of the results is no longer there.
        """
        volume_node = assessed_volume(segmentation_node)
        if volume_node is None or segment_id not in segment_ids(segmentation_node):
            return
        axis = read_results(segmentation_node).reports[segment_id].case.axis
        case = self._edited.get(volume_node, segmentation_node, segment_id, axis)
        go_to_segment(slice_nodes(slicer.mrmlScene), volume_node, case, index)
