"""REC-Net with REG-Net on the difference image."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from ...case.case import Case
from ...case.field_of_view import field_of_view_grid
from ...report.report import QualityReport
from ..base import MapKind
from .architectures import RecNet, blurred, difference
from .network_estimator import NetworkEstimator
from .settings import RecRegSettings

_BATCH = 8


class RecRegEstimator(NetworkEstimator):
    """REG-Net on the difference between the image and its reconstruction by REC-Net (arXiv 1903.08773)."""

    settings_class = RecRegSettings
    gives = frozenset({MapKind.DIFFERENCE})

    def _load_networks(self) -> None:
        super()._load_networks()
        self.rec_net = self._network(RecNet, "rec_net")

    def first_channel(self, image: Tensor, mask: Tensor) -> Tensor:
        """The signed difference image, in [-2, 2]."""
        return difference(blurred(image, self.settings.image_smoothing), mask, self.rec_net)

    @torch.inference_mode()
    def maps(self, case: Case, report: QualityReport) -> dict[MapKind, sitk.Image]:
        """The absolute difference |I - R| on the grid of the report's field of view."""
        prepared = self.prepare(case, report.provenance.parameters)
        size = self.settings.size
        result = np.zeros((case.n_slices, size, size), np.float32)
        for first in range(0, case.n_slices, _BATCH):
            slices = range(first, min(first + _BATCH, case.n_slices))
            image, mask = prepared.image(slices), prepared.mask(case, slices)
            result[first : first + _BATCH] = self.in_memory(self._absolute_difference, image, mask)
        volume = sitk.GetImageFromArray(result)
        volume.CopyInformation(field_of_view_grid(case, prepared.field))
        return {MapKind.DIFFERENCE: volume}

    def _absolute_difference(self, image: Tensor, mask: Tensor) -> Tensor:
        return self.first_channel(image, mask).abs()[:, 0]
