"""What the panel uses of the module's file: its logic and its parameter node, named as Slicer names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..scene.assessment import Progress
from ..scene.reviews import Review
from ..scene.stored_results import Results


class Parameters(Protocol):
    """The state of the panel that is saved with the scene: SegQualityQCParameterNode."""

    volume: Any
    segmentation: Any
    deselected: str
    model: str
    axis: str
    threshold: float
    order: str
    difference: bool
    showOverlay: bool
    showSurface: bool
    follow: bool

    def StartModify(self) -> int:
        """Hold back events until EndModify gets what this returns."""

    def EndModify(self, wasModifying: int) -> None:
        """Send the events that were held back."""


class Logic(Protocol):
    """Assesses, scores again and keeps decisions: SegQualityQCLogic, which documents each method."""

    def iterAssess(
        self, volumeNode: Any, segmentationNode: Any, segmentIds: Sequence[str] | None = None, **options: Any
    ) -> Iterator[Progress]:
        """The steps of an assessment."""

    def iterRescore(self, segmentationNode: Any, threshold: float) -> Iterator[Progress]:
        """The steps of scoring edited slices again."""

    def signSlice(self, segmentationNode: Any, segmentId: str, index: int, review: Review) -> None:
        """Keep a decision on a slice."""

    def signCase(self, segmentationNode: Any, review: Review) -> None:
        """Keep a decision on the whole case."""

    def models(self) -> list[Path]:
        """The folders of all models."""

    def addModel(self, folder: str) -> Path:
        """Check a model and copy it to the user's own models."""

    def segmentModels(self, segmentationNode: Any, model: str) -> list[tuple[str, str, str, bool]]:
        """Identifier, name, name of the model and whether it fits, of each segment."""

    def results(self, segmentationNode: Any) -> Results:
        """The results that a segmentation keeps."""

    def showResults(self, segmentationNode: Any, overlay: bool, surface: bool) -> None:
        """Show or hide the coloured slices and surfaces."""

    def goToSlice(self, segmentationNode: Any, segmentId: str, index: int) -> None:
        """Take the slice views to a slice of a segment."""

    def torchInstalled(self) -> bool:
        """Whether PyTorch can be used."""

    def installTorch(self) -> bool:
        """Install PyTorch; returns whether the user agreed."""
