"""Which model assesses a segment: one that knows the structure, that the case can feed, and that errs least."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..bundles.bundle import METADATA, ModelBundle
from ..bundles.catalogue import available_bundles, bundle_with_checksum, find_bundle, models_folder
from ..bundles.header import TrainedTarget
from ..case.case import CaseInput
from ..errors import BundleError
from .registry import IMAGE_AND_MASK, family_of, settings_of


def load_bundle(folder: str | Path) -> ModelBundle:
    """Read and check a bundle with the block of its family; weights stay on disk.

    Raises:
        BundleError: Something is missing, damaged, unknown or unsafe.
    """
    bundle = ModelBundle.load(folder)
    settings_of(bundle)
    return bundle


class ModelSelection:
    """Chooses among the models that come with the library and the user's own; each is checked once.

    Args:
        folders: The user's own folders of models.
    """

    def __init__(self, folders: Iterable[str | Path] = ()) -> None:
        self.folders = tuple(Path(folder) for folder in folders)
        self._checked: dict[tuple[Path, float], ModelBundle] = {}

    def bundle(self, name_or_folder: str | Path) -> ModelBundle:
        """The model of this name or in this folder; checked anew when its metadata changed on disk.

        Raises:
            BundleError: It is missing or damaged.
        """
        return self._load(find_bundle(name_or_folder))

    def best(
        self, name: str | None, code: str | None = None, inputs: frozenset[CaseInput] = IMAGE_AND_MASK
    ) -> tuple[ModelBundle, bool]:
        """The best model for a segment, and whether it knows the structure.

        Args:
            name: Name of the segment, or what it is.
            code: SNOMED-CT code of the segment, where it has one.
            inputs: What the case holds.

        Returns:
            The model with the lowest error among those that know the structure, and ``True``; else the default model
            and ``False``.

        Raises:
            BundleError: A model that comes with the library is damaged.
        """
        known = [(bundle, bundle.target_for(code, name)) for bundle in self._usable(inputs)]
        matching = [(bundle, target) for bundle, target in known if target is not None]
        if matching:
            return _lowest_error(matching), True
        return self.default(), False

    def default(self) -> ModelBundle:
        """The model with the lowest error for the structure that most models of the library know.

        Errors of different structures do not compare: some are easier to judge than others.

        Raises:
            BundleError: No usable model comes with the library.
        """
        own = [bundle for bundle in self._usable(IMAGE_AND_MASK) if bundle.folder.parent == models_folder()]
        if not own:
            raise BundleError(
                f"There is no model in {models_folder()}: install the package again, or give --model FOLDER."
            )
        targets = [(bundle, target) for bundle in own for target in bundle.header.targets]
        codes = [target.structure.snomed for _, target in targets]
        most = max(codes, key=codes.count)
        return _lowest_error([pair for pair, code in zip(targets, codes, strict=True) if code == most])

    def with_checksum(self, sha256: str) -> ModelBundle | None:
        """The model whose metadata has this SHA-256, as reports give it; ``None`` if it is not here."""
        folder = bundle_with_checksum(sha256, self.folders)
        return None if folder is None else self._load(folder)

    def _usable(self, inputs: frozenset[CaseInput]) -> list[ModelBundle]:
        """The models whose requirements a case meets."""
        usable = []
        for folder in available_bundles(self.folders):
            try:
                bundle = self._load(folder)
            except BundleError:
                if folder.parent == models_folder():
                    raise  # a damaged installation; a damaged model of the user's own only leaves the choice
                continue
            if family_of(bundle).requires <= inputs:
                usable.append(bundle)
        return usable

    def _load(self, folder: Path) -> ModelBundle:
        key = (folder, (folder / METADATA).stat().st_mtime)
        if key not in self._checked:  # checksums of all weights take longer than an assessment
            self._checked[key] = load_bundle(folder)
        return self._checked[key]


def _lowest_error(candidates: Sequence[tuple[ModelBundle, TrainedTarget]]) -> ModelBundle:
    """The model with the lowest error.

    Errors on different test sets do not compare. Where there are several, a model that the user added goes before one
    that comes with the library, and the set that most of the remaining models share decides.
    """
    if len({target.evaluation.test_set for _, target in candidates}) > 1:
        added = [pair for pair in candidates if pair[0].folder.parent != models_folder()]
        candidates = added or candidates
    names = [target.evaluation.test_set for _, target in candidates]
    shared = max(names, key=names.count)
    measured = [pair for pair, name in zip(candidates, names, strict=True) if name == shared]
    return min(measured, key=lambda pair: pair[1].evaluation.mae)[0]
