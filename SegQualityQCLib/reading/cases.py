"""Images and segmentations from disk, as cases."""

from __future__ import annotations

import contextlib
import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import SimpleITK as sitk

from ..bundles.bundle import snomed_code
from ..case.case import Case, check_positions, checked_image, checked_labelmap, labels_of, name_of_label
from ..errors import InputError, OutsideImageError
from ..report.report import printable
from .checks.dicom_series import check_series
from .checks.nifti import check_nifti_file, is_nifti
from .checks.nrrd_header import check_nrrd_header, has_segments, segment_names
from .checks.truncation import check_end

# More values without a name than this are those of an image. Some labelmaps have more (117 organs, a brain in 200
# parts), but no model judges all of these, so that one of them has to be chosen anyway.
_MOST_LABELS = 60


@dataclass(frozen=True)
class _Segment:
    """A segment of a file: its name, label value, layer, SNOMED-CT code where the file has one, and what another file
    calls it.
    """

    name: str
    label: int
    layer: int = 0
    code: str | None = None
    structure: str | None = None


def read_image(path: str | Path) -> sitk.Image:
    """Read an image file of any format that SimpleITK knows, or a folder with one DICOM series.

    Raises:
        InputError: It is missing or unreadable, or the folder does not hold exactly one series.
    """
    path = Path(path)
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder above is forbidden
        return _read_dicom_series(path)
    return _read_file(path, "image")


def read_cases(
    image_path: str | Path,
    segmentation_path: str | Path,
    *,
    label: int | None = None,
    segment: str | None = None,
    axis: int | str | None = None,
    structures: Mapping[int, str] | None = None,
) -> list[Case]:
    """Read an image and a segmentation and make one case a segment.

    Where none was chosen, segments that are empty or wholly outside the image are left out; for the latter the others
    carry the flag ``segment_left_out``.

    Args:
        image_path: Image file or DICOM folder.
        segmentation_path: Labelmap, or Slicer's ``.seg.nrrd`` with names and layers.
        label: Label value of the one segment wanted.
        segment: Name of the one segment wanted.
        axis: Slice axis, see :meth:`Case.from_images`.
        structures: What the labels of a file without names are. The segments are still called ``label N``, so that
            stored scores find them; models are found by these words.

    Raises:
        InputError: Something cannot be read, chosen or assessed, or a labelmap without names has so many values that it
            looks like an image, and none was chosen.
    """
    if label is not None and segment is not None:
        raise InputError("A label and a segment name were both given: use one of them.")
    image_path, segmentation_path = Path(image_path), Path(segmentation_path)
    image = read_image(image_path)
    stored = _read_file(segmentation_path, "segmentation")
    check_positions(image, stored, image_path.name, segmentation_path.name)
    image = checked_image(image, image_path.name)
    named = _named_segments(segmentation_path)
    layers = [stored]
    if named and stored.GetNumberOfComponentsPerPixel() > 1:
        layers = [
            sitk.VectorIndexSelectionCast(stored, layer) for layer in range(stored.GetNumberOfComponentsPerPixel())
        ]
    del stored
    name = segmentation_path.name
    drawn = [sitk.GetArrayViewFromImage(layer).any() for layer in layers]
    layers = [
        checked_labelmap(layer, name) if has or not any(drawn) else layer
        for layer, has in zip(layers, drawn, strict=True)
    ]
    structures = structures or {}
    segments = named or [
        _Segment(name_of_label(value), value, structure=structures.get(value)) for value in labels_of(layers[0])
    ]
    if label is None and not named:
        _check_number(segments, name)
    chosen = _chosen(segments, label, segment, name)
    if named and len(chosen) == 1 and not _is_drawn(chosen[0], layers):
        others = _listed([one for one in segments if _is_drawn(one, layers)])
        drawn_ones = f" ({others})" if others else ""
        raise InputError(f"The segment {chosen[0].name} of {name} is empty: choose one that is drawn{drawn_ones}.")
    if len(chosen) > 1:  # an empty one among several does not stop the others
        present = [set(labels_of(layer)) for layer in layers]
        chosen = [one for one in chosen if 0 <= one.layer < len(layers) and one.label in present[one.layer]]
    if not chosen:
        raise InputError(f"The segmentation {name} is empty: draw something, or choose another file.")
    cases: list[Case] = []
    outside: list[OutsideImageError] = []
    several = len(chosen) > 1
    while chosen:
        one = chosen.pop(0)
        if not 0 <= one.layer < len(layers):
            raise InputError(f"The segment {one.name} of {name} names layer {one.layer}, which the file does not have.")
        labelmap = layers[one.layer]
        if not chosen:
            layers.clear()  # the last mask is cut out without keeping the labelmap of a large volume
        try:
            case = Case.from_images(
                image,
                labelmap,
                label=one.label,
                axis=axis,
                segment=one.name,
                image_name=image_path.name,
                segmentation_name=name,
                terminology_code=one.code,
                structure=one.structure,
            )
        except OutsideImageError as error:
            if not several:
                raise
            outside.append(error)
        else:
            cases.append(case)
    if not cases:
        raise outside[0]
    return [replace(case, flags=(*case.flags, "segment_left_out")) for case in cases] if outside else cases


def _check_number(segments: list[_Segment], name: str) -> None:
    """An image or a probability map in the place of a labelmap would be scored for minutes, value by value."""
    unknown = sum(segment.structure is None for segment in segments)
    if unknown > _MOST_LABELS:
        raise InputError(
            f"The segmentation {name} has {unknown} different values, none with a name: it looks like an image "
            "or a probability map. Were image and segmentation swapped? If it is a labelmap, choose one value with "
            "--label (in a manifest: the column label)."
        )


def _chosen(segments: list[_Segment], label: int | None, segment: str | None, name: str) -> list[_Segment]:
    if label is None and segment is None:
        return list(segments)
    chosen = [one for one in segments if one.label == label or one.name == segment]
    if not chosen:
        wanted = name_of_label(label) if label is not None else f"segment {segment!r}"
        raise InputError(f"The segmentation {name} has no {wanted}: it has {_listed(segments)}.")
    if len(chosen) > 1:
        raise InputError(_several(chosen, segments, label, name))
    return chosen


def _several(chosen: list[_Segment], segments: list[_Segment], label: int | None, name: str) -> str:
    """That a choice fits several segments, and the choice that fits one."""
    names, labels = ([getattr(one, key) for one in segments] for key in ("name", "label"))
    what = f"called {chosen[0].name!r}" if label is None else f"of the label {label}"
    if label is None and all(labels.count(one.label) == 1 for one in chosen):
        return f"In the segmentation {name} several segments are {what}: choose one with --label ({_listed(chosen)})."
    if label is not None and all(names.count(one.name) == 1 for one in chosen):
        return f"In the segmentation {name} several segments are {what}: choose one by its name ({_listed(chosen)})."
    return f"In the segmentation {name} several segments are {what}: give them names of their own."


def _listed(segments: list[_Segment]) -> str:
    """Names with their labels, of the first ones."""
    return ", ".join(f"{one.name} ({one.label})" if _has_own_name(one) else one.name for one in segments[:12])


def _is_drawn(segment: _Segment, layers: list[sitk.Image]) -> bool:
    """Whether a segment has a pixel; a layer that the file does not have is left to others to tell."""
    if not 0 <= segment.layer < len(layers):
        return True
    return bool((sitk.GetArrayViewFromImage(layers[segment.layer]) == segment.label).any())


def _has_own_name(segment: _Segment) -> bool:
    """Whether a segment has a name of its own, and not one made from its label."""
    return segment.name != name_of_label(segment.label)


def _read_file(path: Path, role: str) -> sitk.Image:
    if os.path.isdir(path):  # noqa: PTH112
        raise InputError(f"The {role} {path} is a folder: give a file.")
    if not _is_file(path):
        raise InputError(f"The {role} {path} does not exist: check the path.")
    _check_name(path, role)
    try:
        check_nrrd_header(path)
        with _quiet_itk():
            image = sitk.ReadImage(str(path))
            if is_nifti(path):
                check_nifti_file(path, role, image)
            else:
                _check_spacing(path, role)
                check_end(path, role, image)
    except PermissionError as error:
        raise InputError(f"The {role} {path} may not be read: ask for the permission.") from error
    except (RuntimeError, OSError, EOFError, zlib.error) as error:
        if "orthonormal" in str(error):
            raise InputError(
                f"The axes of the {role} {path} are not at right angles: resample it to a grid whose axes are."
            ) from error
        raise InputError(f"The {role} {path} cannot be read: it is damaged or of an unknown format.") from error
    return image


def _is_file(path: Path) -> bool:
    """Whether there is a file, also where its folder does not let us look: opening it will say so."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False


def _check_name(path: Path, role: str) -> None:
    """ITK would end the process on a file name that is no text."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"The name of the {role} {str(path)!a} is no UTF-8 text: rename it.") from None


def _check_spacing(path: Path, role: str) -> None:
    """A negative spacing is refused; ITK would turn the axis round."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    spacing = reader.GetSpacing()
    if min(spacing[:3]) < 0:
        raise InputError(f"The {role} {path} has an impossible spacing {spacing} mm: correct its header.")


def _read_dicom_series(folder: Path) -> sitk.Image:
    _check_name(folder, "folder")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(f"The folder {folder} may not be read: ask for the permission.")
    with _quiet_itk():
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        if len(series) != 1:
            count = len(series) or "no"
            raise InputError(f"The folder {folder} holds {count} DICOM series: give a folder with exactly one.")
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
        try:
            check_series(files, folder)
            return sitk.ReadImage(files)
        except RuntimeError as error:
            raise InputError(f"The DICOM series in {folder} cannot be read: a file is damaged.") from error


def _named_segments(path: Path) -> list[_Segment]:
    """The segments that a .seg.nrrd names; none for another file."""
    if not has_segments(path):
        return []
    try:
        import slicerio
    except ImportError as error:
        raise InputError(
            f"Reading the segment names of {path.name} needs the package slicerio: pip install 'SegQualityQCLib[cli]'."
        ) from error
    try:
        header = slicerio.read_segmentation(str(path), skip_voxels=True)
        names = segment_names(path)  # slicerio leaves out the letters that are not ASCII
        return [
            _Segment(
                printable(name or str(entry.get("name") or entry["id"])),
                int(entry["labelValue"]),
                int(entry.get("layer", 0)),
                _code_of(entry),
            )
            for name, entry in zip(names, header["segments"], strict=True)
        ]
    except Exception as error:  # slicerio and pynrrd raise many kinds for damaged headers
        raise InputError(f"The segments of {path.name} cannot be read: its header is damaged.") from error


def _code_of(entry: dict) -> str | None:
    kind = entry.get("terminology", {}).get("type")
    return snomed_code(str(kind[0]), str(kind[1])) if kind and len(kind) > 1 else None


@contextlib.contextmanager
def _quiet_itk() -> Iterator[None]:
    """Keep ITK's warnings, which C++ writes past Python, from the user's terminal."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)
