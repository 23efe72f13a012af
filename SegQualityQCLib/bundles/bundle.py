"""Model bundles: folders with metadata, weights and a model card, checked before anything in them is used.

The layout follows MONAI's bundle format (configs/metadata.json, models/, docs/README.md, LICENSE) with a ``quality``
block in the metadata; docs/bundle-format.md describes each field.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BundleError
from ..estimators.distribution_check import DESCRIPTORS
from ..report.calibration import check_table
from ..resources import resources_folder

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 1
ESTIMATORS = {"rec-reg": ("models/rec_net.pt", "models/reg_net.pt"), "direct": ("models/reg_net.pt",)}

_UNSPECIFIED_TISSUE = "85756007"  # Slicer gives it to every new segment

# Nothing larger is read: the bundled models are a tenth of it, and a stranger's file must not fill the memory.
_MAX_METADATA_BYTES = 4 * 2**20
_MAX_WEIGHT_BYTES = 256 * 2**20
_MAX_FILTERS = 1024
_MAX_CONVOLUTIONS = 32
_MAX_WINDOW = 1024
_MAX_SMOOTHING = 16  # pixels
_MAX_PIXELS = 2**26  # of one slice in a network's widest level: window² times filters


def snomed_code(scheme: str, code: str) -> str | None:
    """The SNOMED-CT code of a terminology entry; ``None`` where the entry is of another scheme.

    SRT, which older files have, numbers the same structures in another way.
    """
    return code if scheme in ("SCT", "SNOMED-CT") else None


@dataclass(frozen=True)
class Target:
    """The structure a model was trained on.

    Attributes:
        name: Name in words, for example ``left ventricular myocardium``.
        snomed: SNOMED-CT code.
        aliases: Other names that segments of this structure go by.
    """

    name: str
    snomed: str
    aliases: tuple[str, ...]

    def matches(self, code: str | None, name: str | None) -> bool:
        """Whether a segment with this SNOMED-CT code or, failing that, this name is the structure."""
        if code and code != _UNSPECIFIED_TISSUE:
            return code == self.snomed
        if not name:
            return False
        return _folded(name) in {_folded(known) for known in (self.name, *self.aliases)}


class ModelBundle:
    """A checked model bundle; make one with :meth:`load`."""

    def __init__(self, folder: Path, metadata: dict[str, Any], sha256: str) -> None:
        self.folder = folder
        self.metadata = metadata
        self.sha256 = sha256

    @classmethod
    def load(cls, folder: str | Path) -> ModelBundle:
        """Read and check a bundle: schema, fields, and the SHA-256 of each weight file. Weights stay on disk.

        Raises:
            BundleError: Something is missing, damaged, unknown or unsafe.
        """
        folder = Path(folder)
        path = folder / "configs" / "metadata.json"
        content = _read_inside(folder, path, _MAX_METADATA_BYTES)
        try:
            metadata = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"The metadata of the model {folder.name} is no JSON: {str(error)[:120]}.") from error
        try:
            _check_metadata(metadata)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)[:200]
            raise BundleError(f"The metadata of the model {folder.name} is not usable: {reason}.") from error
        bundle = cls(folder, metadata, hashlib.sha256(content).hexdigest())
        bundle._check_weight_files()
        return bundle

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.metadata["name"]

    @property
    def version(self) -> str:
        """Version of the model."""
        return self.metadata["version"]

    @property
    def quality(self) -> dict[str, Any]:
        """The metadata's ``quality`` block."""
        return self.metadata["quality"]

    @cached_property
    def target(self) -> Target:
        """The structure the model was trained on."""
        entry = self.quality["target"]
        return Target(entry["name"], entry["snomed"]["value"], tuple(entry["aliases"]))

    def weights(self, file: str) -> dict[str, Tensor]:
        """The tensors of a weight file, read without executing anything in it.

        Args:
            file: Path inside the bundle, for example ``models/reg_net.pt``.

        Raises:
            BundleError: The file holds anything but finite floating-point tensors.
        """
        import torch

        path = self.folder / file
        size = self._check_archive(file)
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for damaged or hostile files
            raise BundleError(
                f"The weights {file} of the model {self.name} hold something other than tensors: refused."
            ) from error
        if not isinstance(state, dict) or not all(
            isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
        ):
            raise BundleError(f"The weights {file} of the model {self.name} are no table of tensors: refused.")
        for tensor in state.values():
            if tensor.layout != torch.strided or tensor.device.type != "cpu" or not _holds_its_values(tensor, size):
                raise BundleError(
                    f"The weights {file} of the model {self.name} claim more than the file holds: refused."
                )
        for key, tensor in state.items():
            if tensor.dtype not in (torch.float32, torch.float16) or not torch.isfinite(tensor).all():
                raise BundleError(
                    f"The weights {key} in {file} of the model {self.name} are not finite float32 or float16."
                )
        return {key: tensor.float() for key, tensor in state.items()}

    def _check_weight_files(self) -> None:
        for file, expected in self.quality["weights"].items():
            content = _read_inside(self.folder, self.folder / file, _MAX_WEIGHT_BYTES)
            if hashlib.sha256(content).hexdigest() != expected:
                raise BundleError(
                    f"The checksum of {file} in the model {self.name} is wrong: the file is damaged or was changed; "
                    "install the model again."
                )

    def _check_archive(self, file: str) -> int:
        """A weight file is a zip archive whose members are stored, not compressed: so it cannot grow when read.

        Returns the bytes of its largest member, which no tensor can be larger than.
        """
        try:
            with zipfile.ZipFile(self.folder / file) as archive:
                members = archive.infolist()
        except (OSError, zipfile.BadZipFile) as error:
            raise BundleError(f"The weights {file} of the model {self.name} are no PyTorch file.") from error
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise BundleError(f"The weights {file} of the model {self.name} are compressed inside: refused.")
        if sum(member.file_size for member in members) > _MAX_WEIGHT_BYTES:
            raise BundleError(f"The weights {file} of the model {self.name} are larger than any known model: refused.")
        return max((member.file_size for member in members), default=0)


def models_folder() -> Path:
    """The folder of the models that come with the library."""
    return resources_folder() / "Models"


def available_bundles(extra_folders: Iterable[str | Path] = ()) -> list[Path]:
    """The bundle folders that come with the library and in the user's folders, sorted by name; none is checked."""
    found = []
    for folder in (models_folder(), *extra_folders):
        if Path(folder).is_dir():
            found += sorted(path.parent.parent for path in Path(folder).glob("*/configs/metadata.json"))
    return found


def add_bundle(folder: str | Path, models: str | Path) -> Path:
    """Check a bundle with its weights, and copy it into a folder of models; the copy is whole or absent.

    Args:
        folder: The bundle.
        models: Folder of the user's own models; made where it is missing.

    Raises:
        BundleError: The bundle is damaged or unsafe, one of its name is there already, or it cannot be copied.
    """
    from ..estimators.base import load_estimator  # it needs this module

    bundle = ModelBundle.load(folder)
    load_estimator(bundle, "cpu")
    target = Path(models) / bundle.folder.resolve().name
    if target.exists():
        raise BundleError(f"There is a model {target.name} already: remove {target} first.")
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        for path in ("configs/metadata.json", *bundle.quality["weights"]):  # nothing but what was checked
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.folder / path, partial / path)
        ModelBundle.load(partial)
        partial.replace(target)
    except OSError as error:
        raise BundleError(f"The model {bundle.name} cannot be copied to {models}: {error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def find_bundle(name_or_folder: str | Path) -> Path:
    """The folder of a model given by its name or as a folder.

    Raises:
        BundleError: There is none; the message lists the known names.
    """
    folder = Path(name_or_folder)
    if (folder / "configs" / "metadata.json").is_file():
        return folder
    for known in available_bundles():
        if known.name == str(name_or_folder):
            return known
    names = ", ".join(path.name for path in available_bundles()) or "none"
    raise BundleError(f"There is no model {name_or_folder}: give the folder of a bundle, or one of: {names}.")


def bundle_with_checksum(sha256: str, extra_folders: Iterable[str | Path] = ()) -> Path | None:
    """The folder of the bundle whose metadata has this SHA-256, as reports give it; ``None`` if it is not here."""
    for folder in available_bundles(extra_folders):
        content = _read_inside(folder, folder / "configs" / "metadata.json", _MAX_METADATA_BYTES)
        if hashlib.sha256(content).hexdigest() == sha256:
            return folder
    return None


def default_bundle() -> ModelBundle:
    """The bundled model with the lowest mean absolute error of the structure that most bundled models are for.

    Errors of different structures do not compare: some are easier to judge than others.

    Raises:
        BundleError: No usable model comes with the library.
    """
    bundles = [ModelBundle.load(folder) for folder in available_bundles()]
    if not bundles:
        raise BundleError(f"There is no model in {models_folder()}: install the package again, or give --model FOLDER.")
    codes = [bundle.quality["target"]["snomed"]["value"] for bundle in bundles]
    most = max(codes, key=codes.count)
    return min((bundle for bundle, code in zip(bundles, codes, strict=True) if code == most), key=_evaluated_error)


def bundle_for_segment(
    name: str | None, code: str | None = None, extra_folders: Iterable[str | Path] = ()
) -> tuple[ModelBundle, bool]:
    """The best model for a segment, and whether it was trained on that structure.

    Args:
        name: Name of the segment.
        code: SNOMED-CT code of the segment, where it has one.
        extra_folders: Further folders with bundles.

    Returns:
        The matching bundle of the lowest evaluated error and ``True``, or the default bundle and ``False``.
    """
    bundles = []
    for folder in available_bundles(extra_folders):
        try:
            bundles.append(ModelBundle.load(folder))
        except BundleError:
            if folder.parent == models_folder():
                raise  # a damaged installation; a damaged model of the user's own only leaves the choice
    matching = [bundle for bundle in bundles if bundle.target.matches(code, name)]
    if matching:
        return min(matching, key=_evaluated_error), True
    return default_bundle(), False


def _evaluated_error(bundle: ModelBundle) -> float:
    return bundle.quality.get("evaluation", {}).get("mae", math.inf)


def _folded(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _read_inside(folder: Path, path: Path, limit: int) -> bytes:
    """The content of a regular file inside a bundle, which no link and no '..' may lead out of."""
    if not os.path.lexists(path):
        raise BundleError(f"The model {folder.name} lacks {path.relative_to(folder)}: install it again.")
    try:
        inside = path.resolve(strict=True).is_relative_to(folder.resolve(strict=True))
        if not inside or not path.is_file() or any(p.is_symlink() for p in (path, path.parent)):
            raise BundleError(f"The file {path.name} of the model {folder.name} leads out of its folder: refused.")
        if path.stat().st_size > limit:
            raise BundleError(f"The file {path.name} of the model {folder.name} is too large for a model: refused.")
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"The file {path.name} of the model {folder.name} cannot be read: {error}.") from error


def _holds_its_values(tensor: Tensor, most_bytes: int) -> bool:
    """Whether a tensor has a value of its own for each place, and the file as many bytes as it claims."""
    own = tensor.untyped_storage().nbytes()
    return tensor.numel() * tensor.element_size() <= own <= most_bytes


def _check_metadata(metadata: Any) -> None:
    for key in ("name", "version", "description", "license"):
        if not isinstance(metadata[key], str) or not metadata[key]:
            raise ValueError(f"{key} is no text")
    quality = metadata["quality"]
    if quality["schema"] != SCHEMA:
        raise ValueError(
            f"its schema is {quality['schema']!r}, this version reads schema {SCHEMA}; update SegQualityQC"
        )
    if quality["estimator"] not in ESTIMATORS:
        raise ValueError(f"its estimator {quality['estimator']!r} is not one of {', '.join(ESTIMATORS)}")
    target = quality["target"]
    texts = [target["name"], target["snomed"]["value"], *target["aliases"]]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("its target is not described in texts")
    window = quality["window"]
    if not _whole_within(window["size"], 16, _MAX_WINDOW) or not 0.01 <= _finite(window["spacing_mm"]) <= 100:
        raise ValueError(f"its window {window!r} is impossible")
    if quality["intensity"] != {"rule": "percentile", "low": 0.5, "high": 99.5}:
        raise ValueError(f"its intensity rule {quality['intensity']!r} is not known")
    for network in (quality["networks"].get("rec_net", {}), quality["networks"]["reg_net"]):
        sizes = [*network.get("filters", []), *network.get("hidden", []), network.get("convolutions", 1)]
        if len(sizes) > 32 or not all(_whole_within(size, 1, _MAX_FILTERS) for size in sizes):
            raise ValueError("its networks have impossible sizes")
        if window["size"] ** 2 * max([1, *network.get("filters", [])]) > _MAX_PIXELS or sizes[-1] > _MAX_CONVOLUTIONS:
            raise ValueError("its networks are larger than any known one")
        _check_smoothing(network.get("smoothing", 0))
    _check_smoothing(quality.get("image_smoothing", 0))
    for table in ("slice", "volume"):
        check_table(quality["calibration"][table])
    _check_familiarity(quality["familiarity"])
    if tuple(sorted(quality["weights"])) != tuple(sorted(ESTIMATORS[quality["estimator"]])):
        raise ValueError(f"its weights must be {', '.join(ESTIMATORS[quality['estimator']])}")
    if not all(isinstance(value, str) for value in quality["weights"].values()):
        raise ValueError("its checksums are no texts")
    _finite(quality.get("evaluation", {}).get("mae", 0.0))


def _check_smoothing(pixels: Any) -> None:
    if not 0 <= _finite(pixels) <= _MAX_SMOOTHING:
        raise ValueError("its networks smooth over an impossible distance")


def _check_familiarity(statistics: Any) -> None:
    d = len(statistics["mean"])
    rows = [statistics["mean"], *statistics["precision"]]
    if d != DESCRIPTORS or len(rows) != d + 1 or not all(len(row) == d for row in rows):
        raise ValueError("its familiarity statistics have a wrong shape")
    for value in (statistics["threshold"], *(value for row in rows for value in row)):
        _finite(value)


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:40]!r} is no number")
    return float(value)


def _whole_within(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
