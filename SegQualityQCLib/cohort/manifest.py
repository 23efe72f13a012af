"""Which cases a cohort has: a CSV file, or folders whose file names say what belongs together.

It needs the standard library alone: the worklist in 3D Slicer reads manifests too.
"""

from __future__ import annotations

import csv
import glob
import io
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..errors import InputError
from ..reading.input_files import files_of
from ..reading.label_names import names_in_dataset_json
from ..storage.saved_versions import is_saved_version

REQUIRED = ("case", "image", "segmentation")
OPTIONAL = ("label", "segment", "model", "samples", "probabilities", "frame")
PLACE = "{case}"

# nnU-Net's raw layout: the first channel of an image ends in _0000.
_FIRST_CHANNEL = "_0000"
_ENDINGS = (
    *(".nii.gz", ".seg.nrrd", ".nii", ".nrrd", ".mha", ".mhd", ".seg.nhdr", ".nhdr", ".hdr"),
    *(".png", ".tif", ".tiff", ".bmp"),
)
_NNUNET_SETS = ("Ts", "Tr")


@dataclass(frozen=True)
class CohortCase:
    """One image with one segmentation.

    Attributes:
        name: Unique within the cohort.
        image: Image file or DICOM folder; absolute.
        segmentation: Labelmap, ``.seg.nrrd``, DICOM SEG or RTSTRUCT; absolute.
        label: Label value of the segment, where one was chosen.
        segment: Name of the segment, where one was chosen.
        model: Name or folder of the model, where one was chosen.
        extra: Further columns of the manifest, carried through to the results.
        samples: Other segmentations of the image; absolute, with wildcards where the manifest has some.
        probabilities: Probabilities of a network; absolute.
        structures: What the label values (as texts) are, where nnU-Net's ``dataset.json`` says so.
        frame: Which image of a cine or of a 4-D file, from 1, where one was chosen.
    """

    name: str
    image: Path
    segmentation: Path
    label: int | None = None
    segment: str | None = None
    model: str | None = None
    extra: dict[str, str] = field(default_factory=dict)
    structures: dict[str, str] = field(default_factory=dict)
    samples: tuple[Path, ...] = ()
    probabilities: Path | None = None
    frame: int | None = None


@dataclass(frozen=True)
class FolderFiles:
    """What a folder holds.

    Attributes:
        cases: The cases, by name.
        unused: Files beside those of the cases that are not used, and why; hidden ones are left out.
    """

    cases: tuple[CohortCase, ...]
    unused: dict[Path, str]


def find_cases(
    path: str | Path, images: str | None = None, segmentations: str | None = None, label: int | None = None
) -> tuple[CohortCase, ...]:
    """The cases of a manifest: of a CSV file, or of a folder.

    Args:
        path: The CSV file, or the folder.
        images: For a folder: where the images are, relative to it or anywhere else. A pattern such as
            ``scans/{case}/t1.nii.gz``, or a folder in nnU-Net's naming.
        segmentations: The same for the segmentations.
        label: For a folder: the label value to score; by default all.

    Raises:
        InputError: Nothing is found, or the manifest says something impossible.
    """
    path = Path(path)
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder above is forbidden
        return cases_in_folder(path, images, segmentations, label)
    if images is not None or segmentations is not None:
        raise InputError(f"Patterns of file names need a folder, and {path} is not one: leave them out.")
    if label is not None:
        raise InputError(f"One label for all needs a folder, and {path} is not one: give it the column label instead.")
    return read_manifest(path)


def read_manifest(path: str | Path) -> tuple[CohortCase, ...]:
    """Read a CSV manifest: the columns ``case``, ``image``, ``segmentation``, and ``label``, ``segment``, ``model``,
    ``samples`` (several paths separated by ``;``, or a wildcard), ``probabilities``, ``frame`` or any others where
    wanted. Paths are relative to the file.

    Raises:
        InputError: It cannot be read, lacks a column or a cell, or names a case twice; the message names the line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"The manifest {path} does not exist: give a CSV file or a folder.") from None
    except UnicodeDecodeError:
        raise InputError(f"The manifest {path} is not UTF-8 text: save it as CSV in UTF-8.") from None
    except OSError as error:
        raise InputError(f"The manifest {path} cannot be read: {error.strerror or error}.") from error
    lines = _lines(text, path)
    if not lines:
        raise InputError(f"The manifest {path.name} is empty: its first line must name {', '.join(REQUIRED)}.")
    _, header = lines[0]
    columns = [name.strip() for name in header]
    if not set(REQUIRED) <= set(columns):  # spreadsheets capitalise: Case, Image, Segmentation
        columns = [name.lower() if name.lower() in (*REQUIRED, *OPTIONAL) else name for name in columns]
    _check_columns(columns, path)
    base = path.absolute().parent
    cases: list[CohortCase] = []
    first_line: dict[str, int] = {}
    for number, cells in lines[1:]:
        if len(cells) > len(columns):
            raise InputError(
                f"Line {number} of {path.name} has {len(cells)} cells, the header {len(columns)}: quote cells that "
                "hold the separator."
            )
        row = dict(zip(columns, [cell.strip() for cell in cells], strict=False))
        case = _case_of_row(row, base, f"Line {number} of {path.name}")
        if case.name in first_line:
            raise InputError(
                f"The case {case.name!r} stands on the lines {first_line[case.name]} and {number} of {path.name}: "
                "give each its own name."
            )
        first_line[case.name] = number
        cases.append(case)
    if not cases:
        raise InputError(f"The manifest {path.name} names no case: add one a line below the header.")
    return tuple(cases)


def cases_in_folder(
    folder: str | Path, images: str | None = None, segmentations: str | None = None, label: int | None = None
) -> tuple[CohortCase, ...]:
    """The cases of a folder, by name; one whose image or segmentation is missing is among them.

    See :func:`files_in_folder`, which also says what is not used.
    """
    return files_in_folder(folder, images, segmentations, label).cases


def files_in_folder(
    folder: str | Path, images: str | None = None, segmentations: str | None = None, label: int | None = None
) -> FolderFiles:
    """The cases of a folder, and the files there that are none.

    A folder with a folder per case, which holds a DICOM series and a SEG or RTSTRUCT, needs no patterns.

    What the labels are is read from nnU-Net's ``dataset.json``, beside the segmentations or in the folder.

    Args:
        folder: The folder.
        images: Pattern or nnU-Net folder of the images, relative to the folder or anywhere else; by default
            ``imagesTs`` or ``imagesTr``.
        segmentations: The same for the segmentations; by default ``labelsTs`` or ``labelsTr``. Where both are left to
            the default, it is the test set if both folders of it are there, else the training set.
        label: The label value to score; by default all.

    Raises:
        InputError: A pattern is wrong, or nothing is found.
    """
    folder = Path(folder).absolute()
    if images is None and segmentations is None and not _has_nnunet_folders(folder):
        from .dicom_folders import dicom_cases  # it reads DICOM, which the rest does without

        if found := dicom_cases(folder):
            return FolderFiles(tuple(CohortCase(one.name, one.image, one.segmentation, label) for one in found), {})
    images, segmentations = _with_nnunet_folders(folder, images, segmentations)
    unused: dict[Path, str] = {}
    of_image, image_like = _found(folder, images, _FIRST_CHANNEL, unused)
    of_segmentation, segmentation_like = _found(folder, segmentations, "", unused)
    names = sorted({*of_image, *of_segmentation})
    if not names:
        raise InputError(f"The folder {folder} does not hold a file like {image_like} or {segmentation_like}.")
    unprintable = next((name for name in names if not name.isprintable()), None)
    if unprintable is not None:
        raise InputError(f"The name of the case {unprintable!a} in {folder} cannot be printed: rename its files.")
    structures = _structures(Path(segmentation_like.replace(PLACE, "case")).parent, folder)
    cases = tuple(
        CohortCase(
            name,
            of_image.get(name, Path(image_like.replace(PLACE, name))),
            of_segmentation.get(name, Path(segmentation_like.replace(PLACE, name))),
            label,
            structures=structures,
        )
        for name in names
    )
    used = {*of_image.values(), *of_segmentation.values()}
    parts = {part for path in used for part in files_of(path)}  # pixels beside their header
    return FolderFiles(cases, {path: reason for path, reason in unused.items() if path not in parts})


def _structures(*folders: Path) -> dict[str, str]:
    """What the labels are after the first ``dataset.json`` there is; nothing where that is not nnU-Net's.

    nnU-Net writes one beside its predictions, too.
    """
    path = next((folder / "dataset.json" for folder in folders if (folder / "dataset.json").is_file()), None)
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"The file {path}, which names the labels, cannot be read: {str(error)[:120]}.") from error
    return {str(label): name for label, name in names_in_dataset_json(text, path).items()}


def _lines(text: str, path: Path) -> list[tuple[int, list[str]]]:
    """The lines that are not blank, each with its number in the file."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    # Spreadsheets of many countries separate by semicolons.
    separator = max(",;\t", key=first.count)
    if re.fullmatch("sep=[,;\t]", first.strip(" \r\n")):  # Excel names the separator so; the header follows
        separator, text = first[4], text.replace(first, "", 1)
    # Strict: a quote that is never closed would take all lines after it into its cell, and lose their cases.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lines: list[tuple[int, list[str]]] = []
    begin = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append((reader.line_num, cells))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"Line {begin} of {path.name} is no CSV: {error}. Are its quotes closed?") from error
    return lines


def _check_columns(columns: list[str], path: Path) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise InputError(
            f"The manifest {path.name} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}: "
            f"its first line must name {', '.join(REQUIRED)}."
        )
    named = [name for name in columns if name]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"The manifest {path.name} has the column {twice} twice: rename one.")


def _case_of_row(row: dict[str, str], base: Path, where: str) -> CohortCase:
    for column in REQUIRED:
        if not row.get(column):
            raise InputError(f"{where} has no {column}: fill the cell.")
        if not row[column].isprintable():
            raise InputError(f"{where} has a control character or a line break in {column}: type it anew.")
    label, segment, model, samples, probabilities, frame = (row.get(column) or None for column in OPTIONAL)
    if label is not None and segment is not None:
        raise InputError(f"{where} gives a label and a segment: leave one of them out.")
    if label is not None and not re.fullmatch(r"[+-]?\d+", label):
        raise InputError(f"{where} has the label {label[:40]!r}: it must be an integer.")
    if frame is not None and not (re.fullmatch(r"[0-9]{1,9}", frame) and int(frame) > 0):
        raise InputError(f"{where} has the frame {frame[:40]!r}: it must be a number from 1.")
    if model is not None and (base / model).is_dir():
        model = str(base / model)
    return CohortCase(
        row["case"],
        base / row["image"],
        base / row["segmentation"],
        int(label) if label is not None else None,
        segment,
        model,
        {name: cell for name, cell in row.items() if name and name not in (*REQUIRED, *OPTIONAL)},
        samples=tuple(base / part.strip() for part in (samples or "").split(";") if part.strip()),
        probabilities=base / probabilities if probabilities is not None else None,
        frame=int(frame) if frame is not None else None,
    )


def _with_nnunet_folders(folder: Path, images: str | None, segmentations: str | None) -> tuple[str, str]:
    """Fill in nnU-Net's folders for what was not given: both of the test set, else both of the training set.

    Where one of the two is given, the other is of the same set.
    """
    given = Path(images or segmentations or "").name
    for part in [part for part in _NNUNET_SETS if given.endswith(part)] or _NNUNET_SETS:
        pair = (images or f"images{part}", segmentations or f"labels{part}")
        asked = (images, segmentations)
        if all(one is not None or (folder / name).is_dir() for one, name in zip(asked, pair, strict=True)):
            return pair
    raise InputError(
        f"The folder {folder} is not in nnU-Net's layout (imagesTs and labelsTs, or imagesTr and labelsTr), and has no "
        f"folder per case with a DICOM SEG or RTSTRUCT: say where "
        f"its files are with --images and --segmentations, for example 'images/{PLACE}.nii.gz'."
    )


def _has_nnunet_folders(folder: Path) -> bool:
    return any(all((folder / f"{kind}{part}").is_dir() for kind in ("images", "labels")) for part in _NNUNET_SETS)


def _found(folder: Path, given: str, suffix: str, unused: dict[Path, str]) -> tuple[dict[str, Path], str]:
    """The files of a pattern or of a folder in nnU-Net's naming, by the names of their cases.

    Args:
        folder: What a relative pattern is relative to.
        given: The pattern or the folder.
        suffix: What nnU-Net puts behind the name of a case.
        unused: Takes the files beside them that are not used, and why.

    Returns:
        The files, and the absolute pattern that most of them follow.
    """
    place = Path(os.path.normpath(folder / Path(given).as_posix()))  # on Windows it may have backslashes
    if PLACE in given:
        first = next(n for n, part in enumerate(place.parts) if PLACE in part)
        root, pattern = Path(*place.parts[:first]), PurePosixPath(*place.parts[first:]).as_posix()
        found = {name: Path(str(place).replace(PLACE, name)) for name in _matching(root, pattern)}
        if first == len(place.parts) - 1 and root.is_dir():
            reason = f"its name is not like {place.name}"
            _leave_out(root, set(found.values()), unused, lambda path: reason)
        return found, str(place)
    if not place.is_dir():
        raise InputError(
            f"{given!r} is neither a folder in {folder} nor a pattern: write {PLACE} where the case's name stands."
        )
    found = {}
    endings: dict[str, int] = {}
    for ending in _ENDINGS:
        for path in sorted(place.iterdir()):
            name = path.name.removesuffix(suffix + ending)
            known = path.name.startswith(".") or is_saved_version(path) or path in found.values()
            if known or name == path.name or not name:
                continue
            if name not in found:
                found[name] = path
                endings[ending] = endings.get(ending, 0) + 1
            else:
                unused[path] = f"the case {name} has another file, {found[name].name}"
    if not found:
        raise InputError(
            f"The folder {place} does not hold an image whose name ends like nnU-Net's ({suffix}{_ENDINGS[0]})."
        )
    _leave_out(place, set(found.values()), unused, lambda path: _why_unused(path, suffix))
    return found, str(place / f"{PLACE}{suffix}{max(endings, key=lambda one: endings[one])}")


def _leave_out(folder: Path, used: set[Path], unused: dict[Path, str], why: Callable[[Path], str]) -> None:
    for path in sorted(folder.iterdir()):
        if path not in used and not path.name.startswith("."):
            unused.setdefault(path, "a version that a reviewer saved" if is_saved_version(path) else why(path))


def _why_unused(path: Path, suffix: str) -> str:
    if path.is_dir():
        return "a folder"
    if not path.name.lower().endswith(_ENDINGS):
        return "not an image or a segmentation of a known ending"
    if suffix and re.search(r"_\d{4}\.", path.name):
        return f"a further channel: only the first one ({suffix}) is read"
    return f"its name does not end in {suffix} and a known ending"


def _matching(folder: Path, pattern: str) -> list[str]:
    """The names of the cases whose files a pattern finds; versions that reviewers saved are not cases."""
    parts = pattern.split(PLACE)
    first, *rest = (re.escape(part) for part in parts)
    expression = re.compile(first + "(?P<case>[^/]+)" + "(?P=case)".join(rest))
    wildcard = "*".join(glob.escape(part) for part in parts)
    for above in PurePosixPath(wildcard).parents[:-1]:
        for inner in folder.glob(str(above)):
            if inner.is_dir() and not os.access(inner, os.R_OK | os.X_OK):  # glob would skip its cases without a word
                raise InputError(f"The folder {inner} may not be read: ask for the permission, or write a manifest.")
    matches = (
        expression.fullmatch(path.relative_to(folder).as_posix())
        for path in folder.glob(wildcard)
        if not is_saved_version(path)
    )
    return [match["case"] for match in matches if match and not match["case"].startswith(".")]
