"""REG-Net on the image and the mask."""

from __future__ import annotations

from torch import Tensor

from .architectures import blurred
from .network_estimator import NetworkEstimator
from .settings import DirectSettings


class DirectEstimator(NetworkEstimator):
    """REG-Net on the image and the mask (Robinson et al., MICCAI 2018)."""

    settings_class = DirectSettings

    def first_channel(self, image: Tensor, mask: Tensor) -> Tensor:
        """The image itself, in [-1, 1]."""
        return blurred(image, self.settings.image_smoothing)
