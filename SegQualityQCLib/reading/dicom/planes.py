"""Where the frames of a DICOM file, or the contours of a structure set, lie in space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ...errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

_TURNED = 1e-3  # largest difference between two direction cosines, and cosine between two axes at right angles
_PARALLEL = 1e-3  # largest sine between a stack and an axis of the image
_ON_SLICE = 0.05  # largest distance from a slice, as a part of the step
_MOST_SLICES = 20_000
_MOST_PIXELS = 2**31
_SAME_MM = 0.05  # positions nearer than this are the same: headers round them


@dataclass(frozen=True)
class Planes:
    """Parallel planes with pixels.

    Attributes:
        axes: 3 x 3; the rows are the directions along a row, along a column and across the planes.
        positions: N x 3; the centre of the first pixel of each, in mm.
        pixel_mm: Spacing along a row and along a column.
        step_mm: Distance of two planes, as the file says it; ``None`` where it does not.
    """

    axes: NDArray[np.float64]
    positions: NDArray[np.float64]
    pixel_mm: tuple[float, float]
    step_mm: float | None

    @property
    def offsets(self) -> NDArray[np.float64]:
        """How far each plane lies along the direction across the planes, in mm."""
        return self.positions @ self.axes[2]


def functional_group(dataset: Dataset, frame: int, name: str) -> Dataset | None:
    """What a multi-frame file says of one frame, or of all frames together."""
    for keyword, index in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        items = dataset.get(keyword)
        if items is not None and index < len(items) and items[index].get(name):
            return items[index][name].value[0]
    return None


def planes_of_frames(dataset: Dataset, frames: int, what: str) -> Planes | None:
    """The planes of the frames of a file; ``None`` where it does not say them for each.

    Args:
        dataset: The file.
        frames: Number of frames.
        what: What messages call the file.

    Raises:
        InputError: The frames are turned against each other, of several pixel sizes, or not at right angles.
    """
    positions, cosines, spacings, steps = [], [], [], []
    for frame in range(frames):
        place = functional_group(dataset, frame, "PlanePositionSequence")
        turn = functional_group(dataset, frame, "PlaneOrientationSequence")
        pixels = functional_group(dataset, frame, "PixelMeasuresSequence")
        if place is None or turn is None or pixels is None or not pixels.get("PixelSpacing"):
            return None
        positions.append([float(value) for value in place.ImagePositionPatient])
        cosines.append([float(value) for value in turn.ImageOrientationPatient])
        spacings.append([float(value) for value in pixels.PixelSpacing])
        steps.append(abs(float(pixels.get("SpacingBetweenSlices") or 0)))
    if not all(np.isfinite(values).all() for values in (positions, cosines, spacings, steps)):
        raise InputError(f"{what} has a position that is not a number: export it again.")
    if np.ptp(cosines, axis=0).max() > _TURNED:
        raise InputError(f"{what} holds slices of several directions: give one stack of slices.")
    if np.ptp(spacings, axis=0).max() > _TURNED or min(spacings[0]) <= 0:
        raise InputError(f"{what} holds slices of several pixel sizes, or without one: export it again.")
    axes = orthonormal_axes(np.array(cosines[0]), what)
    column_mm, row_mm = spacings[0][1], spacings[0][0]  # DICOM names the distance of rows first
    return Planes(axes, np.array(positions), (column_mm, row_mm), steps[0] or None)


def orthonormal_axes(cosines: NDArray[np.float64], what: str) -> NDArray[np.float64]:
    """The axes of a plane by its six direction cosines, without their rounding.

    Raises:
        InputError: They are not at right angles.
    """
    along, down = cosines[:3], cosines[3:]
    lengths = np.linalg.norm(along), np.linalg.norm(down)
    if abs(lengths[0] - 1) > _TURNED or abs(lengths[1] - 1) > _TURNED or abs(along @ down) > _TURNED:
        raise InputError(f"{what} has axes that are not at right angles, or of no direction: export it again.")
    along = along / lengths[0]
    across = np.cross(along, down)
    across /= np.linalg.norm(across)
    return np.array([along, np.cross(across, along), across])


def step_of(offsets: NDArray[np.float64], across: NDArray[np.float64], image: sitk.Image, hint: float | None) -> float:
    """The step of a stack from which planes may be left out, in mm; 0 where the planes are unevenly spaced.

    Where all lie on slices of the image, it is the image's: nothing else tells it for planes that were left out.

    Args:
        offsets: How far each plane lies along ``across``, in mm.
        across: Unit vector across the planes.
        image: The image that they belong to.
        hint: The step that the file says.
    """
    nearest = slice_step(offsets, across, image)
    if nearest is not None:
        return nearest
    moves = np.diff(levels_of(offsets))
    smallest = float(moves.min()) if len(moves) else None
    if smallest is not None:  # the mean over all steps has less of the rounding of headers
        smallest = float(moves.sum() / np.rint(moves / smallest).sum())
    for step in (hint, smallest):
        if step and (np.abs(moves / step - np.rint(moves / step)) <= _ON_SLICE + _SAME_MM / step).all():
            return step
    if len(moves):
        return 0.0
    cosines = np.abs(across @ np.array(image.GetDirection()).reshape(3, 3)) if image.GetDimension() == 3 else [1.0]
    return float(image.GetSpacing()[int(np.argmax(cosines))])


def levels_of(offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """The different positions among offsets in mm, from the lowest; rounding in headers makes none."""
    ordered = np.sort(offsets)
    return ordered[np.diff(ordered, prepend=-np.inf) > _SAME_MM]


def slice_step(offsets: NDArray[np.float64], across: NDArray[np.float64], image: sitk.Image) -> float | None:
    """The distance of the image's slices where all planes lie on them; ``None`` where they do not."""
    axis = axis_across(across, image)
    if axis is None:
        return None
    direction = np.array(image.GetDirection()).reshape(3, 3)[:, axis]
    step = float(image.GetSpacing()[axis])
    index = (offsets * np.sign(across @ direction) - np.array(image.GetOrigin()) @ direction) / step
    return step if np.abs(index - np.rint(index)).max() <= _ON_SLICE else None


def axis_across(across: NDArray[np.float64], image: sitk.Image) -> int | None:
    """The axis of a 3-D image that is parallel to a unit vector."""
    if image.GetDimension() != 3:
        return None
    axes = np.array(image.GetDirection()).reshape(3, 3).T
    axis = int(np.argmax(np.abs(axes @ across)))
    return axis if np.linalg.norm(np.cross(axes[axis], across)) <= _PARALLEL else None


def slices_of(offsets: NDArray[np.float64], step: float, what: str) -> NDArray[np.int64]:
    """The slice of each plane, from 0 for the lowest.

    Raises:
        InputError: The planes are unevenly spaced, or so far apart that their positions must be wrong.
    """
    index = (offsets - offsets.min()) / step if step > 0 else np.full(len(offsets), np.nan)
    tolerance = _ON_SLICE * 2 + _SAME_MM / step if step > 0 else 0.0
    if not (np.isfinite(index).all() and (np.abs(index - np.rint(index)) <= tolerance).all()):
        raise InputError(f"The slices of {what} are unevenly spaced: draw it on the slices of the image.")
    if index.max() > _MOST_SLICES:
        raise InputError(f"The slices of {what} reach over {np.ptp(offsets):.0f} mm: its positions are damaged.")
    return np.rint(index).astype(np.int64)


def check_not_shifted(planes: Planes, what: str) -> None:
    """Check that planes lie straight above each other.

    Raises:
        InputError: They are shifted, as with a tilted gantry or in a mosaic.
    """
    beside = planes.positions @ planes.axes[:2].T
    if np.ptp(beside, axis=0).max() > max(_ON_SLICE * min(planes.pixel_mm), _SAME_MM):
        raise InputError(
            f"The slices of {what} are shifted against each other, as with a tilted gantry: resample the volume first."
        )


def blank(slices: int, rows: int, columns: int, label: int | None, what: str) -> NDArray[np.uint8 | np.uint16]:
    """Pixels of a labelmap of one label, or of any of DICOM's 16 bits, all zero.

    Raises:
        InputError: There are so many that the positions must be damaged.
    """
    if slices * rows * columns > _MOST_PIXELS:
        raise InputError(f"{what} reaches over {slices} x {rows} x {columns} pixels: its positions are damaged.")
    return np.zeros((slices, rows, columns), np.uint8 if label is not None and label < 256 else np.uint16)


def image_on(planes: Planes, first: int, step: float, pixels: NDArray) -> sitk.Image:
    """Pixels as an image in space.

    Args:
        planes: The planes.
        first: Index of the plane that the first slice lies on.
        step: Distance of two slices in mm.
        pixels: Slices x rows x columns.
    """
    image = sitk.GetImageFromArray(pixels)
    image.SetOrigin(planes.positions[first].tolist())
    image.SetSpacing((*planes.pixel_mm, step))
    image.SetDirection(planes.axes.T.ravel().tolist())
    return image
