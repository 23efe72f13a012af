"""The two positions in space that a NIfTI-1 header may give, qform and sform, and files whose axes ITK refuses."""

from __future__ import annotations

import struct
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..case.grids import same_grid
from .checks.nifti import is_nifti
from .checks.truncation import CHUNK_BYTES, opened
from .segments import SegmentationFile

_HEADER_BYTES = 348
_SIZES, _SPACING, _CODES, _QUATERNION, _ROWS = 40, 76, 252, 256, 280  # where these begin in a NIfTI-1 header
_OFF_RIGHT_ANGLES = 1e-3  # largest change of a direction cosine: 0.06 degrees, 0.2 mm at 200 mm; rounding gives 1e-4
_DIFFER = 0.1  # voxels between the two positions of a corner; rounding gives less
QFORM_USED, SFORM_USED = "qform_used", "sform_used"


@dataclass(frozen=True)
class Forms:
    """The affine matrices of a NIfTI header, from indices to mm (RAS).

    Attributes:
        size: Voxels along i, j, k.
        qform: 4 x 4, or ``None`` where the header gives none.
        sform: The same.
    """

    size: tuple[int, int, int]
    qform: NDArray[np.float64] | None
    sform: NDArray[np.float64] | None

    @property
    def differ(self) -> bool:
        """Whether both are given and place a corner more than a tenth of a voxel apart."""
        if self.qform is None or self.sform is None:
            return False
        corners = np.array([(i, j, k, 1) for i in (0, 1) for j in (0, 1) for k in (0, 1)], float)
        corners[:, :3] *= np.array(self.size) - 1
        apart = np.linalg.norm(corners @ (self.qform - self.sform).T, axis=1).max()
        return bool(apart > _DIFFER * np.linalg.norm(self.sform[:3, :3], axis=0).min())


def read_forms(path: Path) -> Forms | None:
    """The forms of a file; ``None`` where it is not NIfTI-1 or cannot be read."""
    if not is_nifti(path):
        return None
    try:
        with opened(path) as file:
            return _forms(file.read(_HEADER_BYTES))
    except (OSError, EOFError, struct.error, ValueError):
        return None


def _forms(header: bytes) -> Forms | None:
    order = next((one for one in "<>" if header[:4] == struct.pack(f"{one}i", _HEADER_BYTES)), None)
    if order is None:
        return None
    i, j, k = (max(n, 1) for n in struct.unpack_from(f"{order}3h", header, _SIZES + 2))
    handed, *spacing = struct.unpack_from(f"{order}4f", header, _SPACING)
    has_qform, has_sform = struct.unpack_from(f"{order}2h", header, _CODES)
    b, c, d, *offset = struct.unpack_from(f"{order}6f", header, _QUATERNION)
    qform = np.eye(4)
    qform[:3, :3] = _rotation(b, c, d) * np.array(spacing) * (1, 1, -1 if handed < 0 else 1)
    qform[:3, 3] = offset
    sform = np.vstack([np.reshape(struct.unpack_from(f"{order}12f", header, _ROWS), (3, 4)), (0, 0, 0, 1)])
    return Forms((i, j, k), qform if has_qform > 0 else None, sform if has_sform > 0 else None)


def _rotation(b: float, c: float, d: float) -> NDArray[np.float64]:
    """The rotation of a unit quaternion of which the header stores three parts."""
    a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )


def read_with_nearest_rotation(path: Path) -> sitk.Image | None:
    """Read a file whose axes are off right angles by rounding, which ITK refuses, with the nearest axes that are not.

    Returns:
        The image; the centre of its first voxel, its spacing and its pixels are those of the file. ``None`` where a
        direction cosine would change by more than 0.001.
    """
    forms = read_forms(path)
    if forms is None or forms.sform is None or not path.name.lower().endswith((".nii", ".nii.gz")):
        return None
    spacing = np.linalg.norm(forms.sform[:3, :3], axis=0)
    if not np.isfinite(spacing).all() or not (spacing > 0).all():
        return None
    cosines = forms.sform[:3, :3] / spacing
    left, _, right = np.linalg.svd(cosines)
    if np.abs(left @ right - cosines).max() > _OFF_RIGHT_ANGLES:
        return None
    sform = forms.sform.copy()
    sform[:3, :3] = left @ right * spacing
    with tempfile.TemporaryDirectory(prefix="segquality-") as folder, opened(path) as source:
        header = bytearray(source.read(_HEADER_BYTES))
        order = "<" if header[:4] == struct.pack("<i", _HEADER_BYTES) else ">"
        struct.pack_into(f"{order}2h", header, _CODES, 0, 1)
        struct.pack_into(f"{order}12f", header, _ROWS, *sform[:3].ravel())
        copy = Path(folder) / "image.nii"
        with copy.open("wb") as target:
            target.write(header)
            while part := source.read(CHUNK_BYTES):
                target.write(part)
        return sitk.ReadImage(str(copy))


def with_agreeing_forms(
    image: sitk.Image, image_path: Path, file: SegmentationFile, segmentation_path: Path
) -> tuple[SegmentationFile, tuple[str, ...]]:
    """Place a labelmap by the form by which it lies on its image, where qform and sform of a header differ.

    Args:
        image: The 3-D image, on the grid that ITK read.
        image_path: Its file.
        file: The segmentation.
        segmentation_path: Its file.

    Returns:
        The segmentation, and a flag that says which form was used, where it matters.
    """
    if len(file.layers) != 1:
        return file, ()
    labelmap = file.layers[0]
    for path, own, other in ((image_path, image, labelmap), (segmentation_path, labelmap, image)):
        forms = read_forms(path)
        if forms is None or not forms.differ:
            continue
        if not same_grid(image, labelmap):
            for flag, form in ((QFORM_USED, forms.qform), (SFORM_USED, forms.sform)):
                if same_grid(_grid(forms.size, form), other):
                    placed = sitk.Image(labelmap)
                    placed.CopyInformation(image)
                    return replace(file, layers=[placed]), (flag,)
        return file, (QFORM_USED if same_grid(_grid(forms.size, forms.qform), own) else SFORM_USED,)
    return file, ()


def _grid(size: tuple[int, int, int], form: NDArray[np.float64] | None) -> sitk.Image:
    """An empty image where a form puts it, in LPS as ITK has it."""
    lps = np.diag([-1.0, -1.0, 1.0]) @ (np.eye(4) if form is None else form)[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    grid = sitk.Image(size, sitk.sitkUInt8)
    if not (np.isfinite(lps).all() and (spacing > 0).all()):
        return grid
    left, _, right = np.linalg.svd(lps[:, :3] / spacing)
    grid.SetSpacing(spacing.tolist())
    grid.SetOrigin(lps[:, 3].tolist())
    grid.SetDirection((left @ right).ravel().tolist())
    return grid
