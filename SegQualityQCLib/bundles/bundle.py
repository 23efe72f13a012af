"""Model bundles: folders with metadata, weights and a model card, checked before anything in them is used.

The layout follows MONAI's bundle format (configs/metadata.json, models/, docs/README.md, LICENSE) with a ``quality``
block in the metadata; docs/bundle-format.md describes each field.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zipfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..case.terminology import Target
from ..errors import BundleError
from ..estimators.distribution_check import DESCRIPTORS
from ..report.calibration import check_table

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 1
ESTIMATORS = {"rec-reg": ("models/rec_net.pt", "models/reg_net.pt"), "direct": ("models/reg_net.pt",)}


# Nothing larger is read: the bundled models are a tenth of it, and a stranger's file must not fill the memory.
MAX_METADATA_BYTES = 4 * 2**20
_MAX_WEIGHT_BYTES = 256 * 2**20
_MAX_FILTERS = 1024
_MAX_CONVOLUTIONS = 32
_MAX_WINDOW = 1024
_MAX_SMOOTHING = 16  # pixels
_MAX_PIXELS = 2**26  # of one slice in a network's widest level: window² times filters


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
        content = read_inside(folder, path, MAX_METADATA_BYTES)
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
            content = read_inside(self.folder, self.folder / file, _MAX_WEIGHT_BYTES)
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


def read_inside(folder: Path, path: Path, limit: int) -> bytes:
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
