"""The estimators that run networks on a window of each slice: Robinson's, and REC-Net with REG-Net."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ... import __version__
from ...bundles.bundle import ModelBundle
from ...case.case import Case
from ...case.field_of_view import SliceExtents, Window, reaches_outside, slice_extents, window_around_mask, window_grid
from ...case.grids import AXIS_NAMES
from ...errors import BundleError, InputError
from ...report.calibration import interval
from ...report.report import CaseDescription, ModelIdentity, Provenance, QualityReport, SliceScore, Status
from ...report.volume_score import volume_score
from ..base import AssessmentStep, Estimator
from ..distribution_check import is_familiar
from .architectures import RecNet, blurred, difference, reg_network
from .inputs import WindowedCase, extract

# An end slice that still has this share of the median area hints that the structure goes on beyond it.
_GOES_ON_ABOVE = 0.5


class Prediction(NamedTuple):
    """What the networks say of n slices.

    Attributes:
        dice: Predicted Dice in [0, 1], shape (n,).
        spread: The absolute error expected of it, which the interval is proportional to, shape (n,); 1 throughout where
            the network expects none.
    """

    dice: NDArray[np.float64]
    spread: NDArray[np.float64]


class DirectEstimator(Estimator):
    """REG-Net on the image and the mask (Robinson et al., MICCAI 2018).

    Where the GPU runs out of memory, fewer slices go through the networks together, and where one is still too many,
    the networks go to the CPU and stay there.

    Attributes:
        device: Where the networks are.
        image_smoothing: Standard deviation in pixels of the Gaussian that blurs the image before any network sees it.
        short_of_memory: Whether the GPU ran out of memory; reports say so with the flag ``gpu_memory``.
    """

    requires = frozenset({"image", "mask"})

    def __init__(self, bundle: ModelBundle, device: torch.device) -> None:
        self.bundle = bundle
        self.device = device
        self.short_of_memory = False
        self.image_smoothing = float(bundle.quality.get("image_smoothing", 0))
        window = {"window": bundle.quality["window"]["size"]}
        self.reg_net = self._network(reg_network, "reg_net", window)

    def iter_assess(self, case: Case, *, batch_size: int = 8) -> Iterator[AssessmentStep]:
        """Assess a case batch by batch."""
        if batch_size < 1:
            raise InputError(f"The batch size {batch_size} is too small: use 1 or more.")
        extents, window, windowed = self.windowed(case)
        scorer = _SliceScorer(self, case, extents, window, windowed)
        scores: list[SliceScore] = []
        for first in range(0, case.n_slices, batch_size):
            scores += scorer.score(range(first, min(first + batch_size, case.n_slices)))
            done = len(scores)
            report = self._report(case, scores, window, windowed) if done == case.n_slices else None
            yield AssessmentStep(done, case.n_slices, report)

    def windowed(self, case: Case) -> tuple[SliceExtents, Window, WindowedCase]:
        """Where the mask of a case lies, the window around it, and what the networks see there of all slices."""
        shape = self.bundle.quality["window"]
        extents = slice_extents(case)
        window = window_around_mask(case, extents, size=shape["size"], spacing_mm=shape["spacing_mm"])
        return extents, window, extract(case, window)

    def rescore(self, case: Case, report: QualityReport, slices: Iterable[int]) -> QualityReport:
        """Score the slices that changed, and set anew what their neighbours' status depends on."""
        changed = np.array(sorted(set(slices)), np.int64)
        if report.model.sha256 != self.bundle.sha256 or report.case.slices != case.n_slices:
            raise InputError("The report was made by another model or of another image: assess the case again.")
        if len(changed) and not 0 <= changed[0] <= changed[-1] < case.n_slices:
            raise InputError(f"There is no slice {changed[-1]}: the case has {case.n_slices} slices.")
        window, intensity_range = _window_of(report)
        extents = slice_extents(case)
        windowed = extract(case, window, slices=changed, intensity_range=intensity_range)
        scorer = _SliceScorer(self, case, extents, window, windowed)
        fresh = {score.index: score for score in scorer.score(changed.tolist())}
        scores = [fresh.get(score.index) or scorer.with_status_of_empty(score) for score in report.slices]
        # What was known of the segment when the case was assessed, the scene's segment may not say.
        known = "model_unmatched" not in report.flags
        return self._report(case, scores, window, windowed, known=known)

    @torch.inference_mode()
    def predict(self, image: NDArray[np.float32], mask: NDArray[np.uint8]) -> Prediction:
        """Predicted Dice of slices as the networks see them.

        Args:
            image: Shape (n, size, size) in [-1, 1].
            mask: The same shape, of 0 and 1.
        """
        both = self._in_memory(self._forward, image, mask).astype(np.float64)
        if not np.isfinite(both).all():
            raise BundleError(f"The model {self.bundle.name} predicts something that is no number: use another one.")
        return Prediction(both[:, 0], both[:, 1])

    def first_channel(self, image: Tensor, mask: Tensor) -> Tensor:
        """What REG-Net sees beside the mask, differentiable in the image.

        Args:
            image: Shape (n, 1, size, size) in [-1, 1].
            mask: The same shape, of 0 and 1.
        """
        return blurred(image, self.image_smoothing)

    def try_out(self) -> None:
        """Let the networks see an empty slice.

        Raises:
            BundleError: They do not work on a window of this size.
        """
        size = self.bundle.quality["window"]["size"]
        empty = np.zeros((1, size, size), np.float32)
        try:
            self.predict(empty, empty.astype(np.uint8))
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise BundleError(
                f"The networks of the model {self.bundle.name} do not work on its window of {size} pixels: "
                f"{(str(error).splitlines() or ['no reason given'])[0][:120]}."
            ) from error

    def _in_memory(
        self, forward: Callable[[Tensor, Tensor], Tensor], image: NDArray[np.float32], mask: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """What ``forward`` makes of slices, with as many together as the memory of the device holds."""
        try:
            output = forward(self._tensor(image), self._tensor(mask)).float().cpu()
            return np.asarray(np.from_dlpack(output), np.float32)
        except torch.cuda.OutOfMemoryError:
            if self.device.type == "cpu" and len(image) <= 1:
                raise
        # Only here, where the exception no longer holds the tensors, can their memory be given back.
        self.short_of_memory = True
        torch.cuda.empty_cache()
        half = len(image) // 2
        if half:
            parts = (slice(None, half), slice(half, None))
            return np.concatenate([self._in_memory(forward, image[part], mask[part]) for part in parts])
        self.device = torch.device("cpu")
        for network in self._networks():
            network.to(self.device)
        return self._in_memory(forward, image, mask)

    def _networks(self) -> list[nn.Module]:
        return [self.reg_net]

    def _forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predicted Dice and its expected error, shape (n, 2)."""
        return torch.stack(self.reg_net(torch.cat([self.first_channel(image, mask), mask], dim=1)), dim=1)

    def _tensor(self, slices: NDArray) -> Tensor:
        # By DLPack, since the last torch for Macs with Intel processors has no torch.from_numpy and Tensor.numpy for
        # NumPy 2, which Slicer has. It takes no array that is read-only: hence the copy.
        tensor = torch.from_dlpack(np.array(slices, np.float32))[:, None]
        return tensor.to(self.device, memory_format=torch.channels_last)

    def _network(self, kind: Callable[..., nn.Module], name: str, further: dict[str, Any] | None = None) -> Any:
        """A network with the weights of its file; nothing is allocated for what the metadata only claims."""
        file = f"models/{name}.pt"
        weights = self.bundle.weights(file)
        try:
            with torch.device("meta"):
                network = kind(**self.bundle.quality["networks"][name], **(further or {}))
            network.load_state_dict(weights, assign=True)
        except (TypeError, ValueError, LookupError, RuntimeError) as error:
            reason = str(error).splitlines()[0][:120]
            raise BundleError(
                f"The weights {file} of the model {self.bundle.name} do not fit its networks: {reason}."
            ) from error
        network.eval().requires_grad_(False).to(self.device)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # known to torch, not its stubs

    def _report(
        self, case: Case, scores: list[SliceScore], window: Window, windowed: WindowedCase, *, known: bool = False
    ) -> QualityReport:
        known = known or self.bundle.target.matches(case.terminology_code, case.structure_name)
        statuses = {score.status for score in scores}
        flags = list(case.flags)
        flags += [] if known else ["model_unmatched"]
        flags += ["gaps"] if Status.GAP in statuses else []
        flags += ["partly_scored"] if statuses & {Status.OUT_OF_WINDOW, Status.UNFAMILIAR} else []
        flags += ["gpu_memory"] if self.short_of_memory else []
        return QualityReport(
            model=ModelIdentity(self.bundle.name, self.bundle.version, self.bundle.sha256),
            case=CaseDescription(
                case.image_name,
                case.segmentation_name,
                case.segment,
                AXIS_NAMES[case.axis],
                case.spacing_mm,
                case.n_slices,
            ),
            volume=volume_score(self.bundle.quality["calibration"]["volume"], scores),
            slices=tuple(scores),
            provenance=Provenance(
                __version__,
                datetime.now(timezone.utc).isoformat(timespec="seconds"),
                {
                    "estimator": self.bundle.quality["estimator"],
                    "window": {
                        "centre_mm": list(window.centre_mm),
                        "size": window.size,
                        "spacing_mm": window.spacing_mm,
                    },
                    "intensity_range": list(windowed.intensity_range),
                },
            ),
            flags=tuple(flags),
        )


class RecRegEstimator(DirectEstimator):
    """REG-Net on the difference between the image and its reconstruction by REC-Net (arXiv 1903.08773)."""

    def __init__(self, bundle: ModelBundle, device: torch.device) -> None:
        super().__init__(bundle, device)
        self.rec_net = self._network(RecNet, "rec_net")

    def _networks(self) -> list[nn.Module]:
        return [self.reg_net, self.rec_net]

    def first_channel(self, image: Tensor, mask: Tensor) -> Tensor:
        """The signed difference image, in [-2, 2]."""
        return difference(blurred(image, self.image_smoothing), mask, self.rec_net)

    @torch.inference_mode()
    def difference_image(self, case: Case, report: QualityReport, *, batch_size: int = 8) -> sitk.Image:
        """The absolute difference |I - R| in [0, 2] on the grid of the report's window: where the image and the mask
        disagree.

        Args:
            case: The case of the report.
            report: A report of this model.
            batch_size: Slices that go through REC-Net together.
        """
        window, intensity_range = _window_of(report)
        windowed = extract(case, window, intensity_range=intensity_range)
        result = np.zeros(windowed.image.shape, np.float32)
        for first in range(0, len(result), batch_size):
            part = slice(first, first + batch_size)
            result[part] = self._in_memory(self._difference, windowed.image[part], windowed.mask[part])
        volume = sitk.GetImageFromArray(result)
        volume.CopyInformation(window_grid(case, window))
        return volume

    def _difference(self, image: Tensor, mask: Tensor) -> Tensor:
        return self.first_channel(image, mask).abs()[:, 0]


class _SliceScorer:
    """Scores slices of one prepared case."""

    def __init__(
        self,
        estimator: DirectEstimator,
        case: Case,
        extents: SliceExtents,
        window: Window,
        windowed: WindowedCase,
    ) -> None:
        self.estimator = estimator
        self.windowed = windowed
        self.counts = extents.counts
        self.area = extents.counts * case.pixel_area_mm2
        self.outside = reaches_outside(case, extents, window)
        self.row_of = {int(index): row for row, index in enumerate(windowed.indices)}
        drawn = np.flatnonzero(extents.counts)
        self.first, self.last = (int(drawn[0]), int(drawn[-1])) if len(drawn) else (0, -1)
        self.median_area = float(np.median(self.area[drawn])) if len(drawn) else 0.0

    def score(self, indices: Iterable[int]) -> list[SliceScore]:
        """The scores of these slices, in their order."""
        indices = list(indices)
        rows = [self.row_of[i] for i in indices if self.counts[i] and not self.outside[i]]
        seen = [row for row in rows if self.windowed.mask[row].any()]
        predicted: dict[int, tuple[float, float]] = {}
        familiar: dict[int, bool] = {}
        if seen:
            image, mask = self.windowed.image[seen], self.windowed.mask[seen]
            known = is_familiar(self.estimator.bundle.quality["familiarity"], image)
            familiar = dict(zip(seen, known.tolist(), strict=True))
            dice, spread = self.estimator.predict(image, mask)
            predicted = dict(zip(seen, zip(dice.tolist(), spread.tolist(), strict=True), strict=True))
        return [self._one(i, predicted.get(self.row_of[i]), familiar.get(self.row_of[i], False)) for i in indices]

    def with_status_of_empty(self, score: SliceScore) -> SliceScore:
        """An earlier score whose slice did not change, with ``empty`` or ``gap`` as the neighbours are now."""
        return self._one(score.index, None, False) if not self.counts[score.index] else score

    def _one(self, index: int, predicted: tuple[float, float] | None, familiar: bool) -> SliceScore:
        area = float(self.area[index])
        if not self.counts[index]:
            inside = self.first < index < self.last
            status = Status.GAP if inside else Status.EMPTY
            return SliceScore(index, status, None, None, None, area, () if inside else self._beyond_the_end(index))
        if self.outside[index]:
            return SliceScore(index, Status.OUT_OF_WINDOW, None, None, None, area)
        if predicted is None:
            return SliceScore(index, Status.UNFAMILIAR, None, None, None, area, ("too_small",))
        if not familiar:
            return SliceScore(index, Status.UNFAMILIAR, None, None, None, area, ("image",))
        low, high = interval(self.estimator.bundle.quality["calibration"]["slice"], *predicted)
        return SliceScore(index, Status.SCORED, predicted[0], low, high, area)

    def _beyond_the_end(self, index: int) -> tuple[str, ...]:
        for end, neighbour in ((self.first, self.first - 1), (self.last, self.last + 1)):
            if index == neighbour and end >= 0 and self.area[end] >= _GOES_ON_ABOVE * self.median_area > 0:
                return ("check",)
        return ()


def _window_of(report: QualityReport) -> tuple[Window, tuple[float, float]]:
    """The window and the intensity range that a report was made with."""
    try:
        stored = report.provenance.parameters["window"]
        x, y, z = (float(value) for value in stored["centre_mm"])
        low, high = (float(value) for value in report.provenance.parameters["intensity_range"])
        return Window((x, y, z), int(stored["size"]), float(stored["spacing_mm"])), (low, high)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("The report does not say which window it was made with: assess the case again.") from error
