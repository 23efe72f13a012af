"""What nnU-Net writes with ``--save_probabilities``: an ``.npz`` with all classes, and its geometry in a ``.pkl``.

A pickle may hold any program. This one is read by an unpickler that knows numbers, texts, tables and numpy's arrays and
nothing else.
"""

from __future__ import annotations

import io
import math
import pickle
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import InputError

_MOST_PICKLE_BYTES = 64 * 2**20
_MOST_BYTES = 8 * 2**30
_KEYS = ("probabilities", "softmax")  # of nnU-Net's versions 2 and 1
_ROLE = "probability map"
_HARMLESS = {
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),
}


class _DataUnpickler(pickle.Unpickler):
    """Loads data, and refuses all that could run."""

    def find_class(self, module: str, name: str) -> Any:
        """The few names that numpy's arrays need."""
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().find_class(module, name)


def read_npz(path: Path) -> list[sitk.Image]:
    """The map of each class, the background first.

    Raises:
        InputError: A file is missing, damaged, too large or not nnU-Net's, or the pickle holds more than data.
    """
    array = _array(path)
    spacing, origin, direction = _geometry(path.with_suffix(".pkl"), path.name)
    images = []
    for plane in array:
        image = sitk.GetImageFromArray(np.ascontiguousarray(plane, np.float32))
        try:
            image.SetSpacing(spacing)
            image.SetOrigin(origin)
            image.SetDirection(direction)
        except (RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"The geometry of {path.name} is impossible: predict it again.") from error
        images.append(image)
    return images


def _array(path: Path) -> NDArray:
    """The array, shape (classes, k, j, i); its size is looked at before its memory is taken."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            key = next((key for key in _KEYS if f"{key}.npy" in names), None)
            if key is None:
                raise InputError(
                    f"The {_ROLE} {path.name} has none of the arrays {', '.join(_KEYS)}: give the file that nnU-Net "
                    "writes with --save_probabilities."
                )
            with archive.open(f"{key}.npy") as file:
                shape, dtype = _header(file)
                bytes_needed = math.prod(shape) * max(dtype.itemsize, 4)
                if dtype.kind != "f" or len(shape) != 4 or shape[0] < 2 or 0 in shape:
                    raise InputError(
                        f"The {_ROLE} {path.name} holds {dtype} of shape {shape}: floating-point numbers of shape "
                        "(classes, k, j, i) are needed, with two classes or more."
                    )
                if bytes_needed > _MOST_BYTES:
                    raise InputError(
                        f"The {_ROLE} {path.name} takes {bytes_needed / 2**30:.1f} GB of memory, and "
                        f"{_MOST_BYTES / 2**30:.0f} GB are allowed: give the map of one structure as NIfTI."
                    )
        with np.load(path, allow_pickle=False) as stored:
            return stored[key]
    except FileNotFoundError:
        raise InputError(f"The {_ROLE} {path} does not exist: check the path.") from None
    except PermissionError:
        raise InputError(f"The {_ROLE} {path} may not be read: ask for the permission.") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"The {_ROLE} {path} cannot be read: it is damaged or not of numpy.") from error


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _geometry(path: Path, name: str) -> tuple[list[float], list[float], list[float]]:
    """Spacing, origin and direction as SimpleITK has them, from the properties beside the array."""
    try:
        if path.stat().st_size > _MOST_PICKLE_BYTES:
            raise InputError(f"The file {path.name} is too large for the geometry of {name}: predict it again.")
        properties = _DataUnpickler(io.BytesIO(path.read_bytes())).load()
    except FileNotFoundError:
        raise InputError(
            f"The file {path.name}, which says where {name} lies, is missing: nnU-Net writes both."
        ) from None
    except PermissionError:
        raise InputError(f"The file {path} may not be read: ask for the permission.") from None
    except InputError:
        raise
    except Exception as error:  # a damaged pickle raises many kinds
        raise InputError(
            f"The file {path.name} is not the geometry that nnU-Net writes ({str(error)[:80]}): nothing of it was run."
        ) from error
    try:
        if "sitk_stuff" in properties:
            stored = properties["sitk_stuff"]
            spacing, origin, direction = (
                [float(value) for value in stored[key]] for key in ("spacing", "origin", "direction")
            )
            return _in_3d(spacing, origin, direction)
        stored = properties["nibabel_stuff"]  # one of its readers turns the axes first
        return _of_affine(np.asarray(stored.get("reoriented_affine", stored["original_affine"]), float))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"The file {path.name} lacks the geometry as nnU-Net's version 2 writes it: predict {name} again with it, "
            "or store the probabilities as NIfTI."
        ) from error


def _in_3d(
    spacing: list[float], origin: list[float], direction: list[float]
) -> tuple[list[float], list[float], list[float]]:
    if len(spacing) == 2:
        spacing, origin = [*spacing, 1.0], [*origin, 0.0]
        direction = [*direction[:2], 0.0, *direction[2:], 0.0, 0.0, 0.0, 1.0]
    if (len(spacing), len(origin), len(direction)) != (3, 3, 9):
        raise ValueError("it is not of three dimensions")
    return spacing, origin, direction


def _of_affine(affine: NDArray[np.float64]) -> tuple[list[float], list[float], list[float]]:
    """The geometry of nibabel's affine, whose first two axes point the other way than ITK's."""
    turned = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(turned[:3, :3], axis=0)
    if turned.shape != (4, 4) or not (spacing > 0).all():
        raise ValueError("its affine is impossible")
    return spacing.tolist(), turned[:3, 3].tolist(), (turned[:3, :3] / spacing).ravel().tolist()
