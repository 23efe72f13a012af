"""Prints how often the distribution check finds unlike images, how often it is wrong, and how wrong masks are scored.

The generated images need no data: the demo heart's mask on noise, phantoms and images like CT and brain MR. With
ACDC_ROOT set, it prints these too:

- long-axis reslices of ACDC test patients, and how often short-axis slices of these patients are falsely refused;
- for test and validation patients (the check was fitted on the latter, but no network was trained on them), the share
  of slices predicted below the threshold where the mask is of another structure, mirrored or shifted.

    python Testing/Benchmarks/silent_wrongness.py [MODEL] [--volumes N]
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.demo import MYOCARDIUM, demo_images
from SegQualityQCLib.errors import InputError
from SegQualityQCLib.estimators.base import Estimator
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.report.report import QualityReport, Status

LV_CAVITY, THRESHOLD, SEED = 3, 0.7, 0
SHIFT_MM = 15.0
Volume = np.ndarray


def coordinates(shape: tuple[int, ...]) -> tuple[Volume, Volume, Volume]:
    """Slice in [0, 1], and row and column in [-1, 1], of each voxel."""
    k, y, x = np.indices(shape, float)
    return k / max(shape[0] - 1, 1), 2 * y / shape[1] - 1, 2 * x / shape[2] - 1


def smooth(noise: Volume, sigma: float) -> Volume:
    """An array blurred by a Gaussian of ``sigma`` voxels."""
    return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(noise), sigma))


def blob(y: Volume, x: Volume, centre: tuple[float, float], radii: tuple[float, float]) -> Volume:
    """The voxels inside an ellipse."""
    return (((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2) < 1


def like_ct(shape: tuple[int, ...], rng: np.random.Generator) -> Volume:
    """A chest in Hounsfield units: air, lungs, soft tissue, a heart with contrast, spine, ribs, and scanner noise."""
    _, y, x = coordinates(shape)
    y, x = y + rng.uniform(-0.1, 0.1), x + rng.uniform(-0.1, 0.1)
    image = np.full(shape, -1000.0)
    image[blob(y, x, (0, 0), (0.75, 0.95))] = -80
    image[blob(y, x, (0, 0), (0.68, 0.88))] = 45
    for side in (-0.45, 0.45):
        image[blob(y, x, (-0.05, side), (0.5, 0.32))] = -850
    image[blob(y, x, (-0.1, 0.12), (0.32, 0.33))] = 60
    image[blob(y, x, (-0.12, 0.2), (0.18, 0.16))] = rng.uniform(200, 400)
    image[blob(y, x, (0.5, 0), (0.13, 0.12))] = 500
    for angle in np.linspace(0.3, 2 * np.pi, 14):
        image[blob(y, x, (0.62 * np.sin(angle), 0.83 * np.cos(angle)), (0.05, 0.07))] = 700
    return smooth(image, 0.8) + rng.normal(scale=rng.uniform(10, 30), size=shape)


def like_brain(shape: tuple[int, ...], rng: np.random.Generator) -> Volume:
    """A head on T1: scalp, dark skull, folded grey matter, white matter and dark ventricles, with Rician noise."""
    _, y, x = coordinates(shape)
    y, x = y + rng.uniform(-0.1, 0.1), x + rng.uniform(-0.1, 0.1)
    folds = smooth(rng.normal(size=shape), 4)
    folds /= folds.std()
    image = np.zeros(shape)
    image[blob(y, x, (0, 0), (0.85, 0.7))] = 0.9
    image[blob(y, x, (0, 0), (0.8, 0.65))] = 0.08
    image[blob(y, x, (0, 0), (0.74, 0.6))] = 0.25
    image[blob(y, x, (0, 0), (0.71, 0.57))] = 0.55
    radius = np.hypot(y / 0.71, x / 0.57)
    image[(radius < 0.85 + 0.08 * folds) & (radius < 1)] = 0.85
    for side in (-0.1, 0.1):
        image[blob(y, x, (-0.05, side), (0.25, 0.07))] = 0.15
    noise = rng.normal(scale=0.03, size=(2, *shape))
    return np.hypot(smooth(image, 1.0) + noise[0], noise[1])


def checks(shape: tuple[int, ...], rng: np.random.Generator) -> Volume:
    """A checkerboard."""
    k, y, x = coordinates(shape)
    period = rng.uniform(6, 25)
    return (np.sin(period * y * np.pi) * np.sin(period * x * np.pi) > 0).astype(float) + 0 * k


def shepp_logan(shape: tuple[int, ...], rng: np.random.Generator) -> Volume:
    """Discs of constant grey, as in a phantom for quality assurance."""
    _, y, x = coordinates(shape)
    image = blob(y, x, (0, 0), (0.8, 0.8)).astype(float)
    for _ in range(12):
        image[blob(y, x, tuple(rng.uniform(-0.5, 0.5, 2)), tuple(rng.uniform(0.03, 0.2, 2)))] = rng.uniform(0, 2)
    return image + rng.normal(scale=0.01, size=shape)


GENERATED = {
    "white noise": lambda shape, rng: rng.normal(size=shape),
    "Rician noise": lambda shape, rng: np.hypot(*rng.normal(size=(2, *shape))),
    "smooth noise": lambda shape, rng: smooth(rng.normal(size=shape), rng.uniform(1, 8)),
    "salt and pepper": lambda shape, rng: (rng.random(shape) < rng.uniform(0.01, 0.5)).astype(float),
    "ramp": lambda shape, rng: coordinates(shape)[1] + rng.uniform(-1, 1) * coordinates(shape)[2],
    "checkerboard": checks,
    "discs (phantom)": shepp_logan,
    "one disc (phantom)": lambda shape, rng: (
        blob(*coordinates(shape)[1:], (0, 0), (0.5, 0.5)) * 1.0 + rng.normal(scale=0.02, size=shape)
    ),
    "like CT": like_ct,
    "like brain MR": like_brain,
}


def with_grid_of(array: Volume, grid: sitk.Image) -> sitk.Image:
    """An array as an image on a grid."""
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(grid)
    return image


def assessed(estimator: Estimator, image: sitk.Image, mask: sitk.Image) -> QualityReport | None:
    """The report of a mask; ``None`` if the input is refused."""
    try:
        return estimator.assess(Case.from_images(image, mask, label=1, axis="k", segment="LV myocardium"))
    except InputError:
        return None


def called_unfamiliar(reports: list[QualityReport]) -> tuple[int, int]:
    """Number of slices called unfamiliar for their image, and of all that were scored or called so."""
    seen = [s for r in reports for s in r.slices if s.status is Status.SCORED or "image" in s.flags]
    return sum(score.status is Status.UNFAMILIAR for score in seen), len(seen)


def print_low(name: str, pairs: list[tuple[QualityReport, Volume]]) -> None:
    """Print how many slices of a true Dice below the threshold are predicted below it, and the error of the rest."""
    scored = [
        (score.dice, true[score.index])
        for report, true in pairs
        for score in report.slices
        if score.dice is not None and true[score.index] < THRESHOLD
    ]
    missed = np.array([(dice, true) for dice, true in scored if dice >= THRESHOLD]).reshape(-1, 2)
    print_share(name, (len(scored) - len(missed), len(scored)))
    if len(missed):
        dice, true = np.median(missed, axis=0)
        near = (missed[:, 0] - missed[:, 1] <= 0.1).sum()
        print(f"{'':44}  the rest: median true Dice {true:.2f}, predicted {dice:.2f}; {near} at most 0.1 too high")


def true_dice(mask: sitk.Image, reference: sitk.Image) -> Volume:
    """Dice of each slice; 1 where both are empty."""
    one, other = (sitk.GetArrayViewFromImage(image).astype(bool) for image in (mask, reference))
    both, total = (one & other).sum(axis=(1, 2)), one.sum(axis=(1, 2)) + other.sum(axis=(1, 2))
    return np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0)


def print_share(name: str, counted: tuple[int, int]) -> None:
    """Print a share with its two numbers."""
    count, total = counted
    share = "no slice to count" if total == 0 else f"{count / total:7.1%}   {count} of {total} slices"
    print(f"  {name:42}{share}", flush=True)


def long_axis(image: sitk.Image, mask: sitk.Image) -> tuple[sitk.Image, sitk.Image]:
    """The volume resliced across its slices, with pixels of 1.5 mm: a long-axis view from a short-axis stack."""
    size = [max(1, round(n * s / 1.5)) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    grid = sitk.Image([size[0], size[2], max(1, size[1] // 5)], sitk.sitkUInt8)
    grid.SetSpacing((1.5, 1.5, 7.5))
    direction = np.array(image.GetDirection()).reshape(3, 3)
    grid.SetDirection(direction[:, [0, 2, 1]].ravel().tolist())
    grid.SetOrigin(image.GetOrigin())
    cut = sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    return cut, sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)


def of_label(labels: sitk.Image, label: int) -> sitk.Image:
    """The mask of one label."""
    return sitk.Cast(labels == label, sitk.sitkUInt8)


def mirrored(mask: sitk.Image) -> sitk.Image:
    """The mask mirrored left to right about the middle of its bounding box, slice by slice."""
    array = sitk.GetArrayFromImage(mask)
    for plane in array:
        columns = np.flatnonzero(plane.any(axis=0))
        if len(columns):
            inside = slice(columns[0], columns[-1] + 1)
            plane[:, inside] = plane[:, inside][:, ::-1].copy()
    return with_grid_of(array, mask)


def mirrored_in_image(mask: sitk.Image) -> sitk.Image:
    """The mask mirrored left to right about the middle of the image, as a wrong orientation in a header does."""
    return with_grid_of(sitk.GetArrayFromImage(mask)[:, :, ::-1].copy(), mask)


def shifted(mask: sitk.Image) -> sitk.Image:
    """The mask shifted by ``SHIFT_MM`` along its first axis."""
    step = round(SHIFT_MM / mask.GetSpacing()[0])
    return with_grid_of(np.roll(sitk.GetArrayFromImage(mask), step, axis=2), mask)


def held_out(most: int) -> Iterator[tuple[sitk.Image, sitk.Image, bool]]:
    """Images and reference labelmaps of held-out ACDC patients, evenly sampled, and whether they are test patients."""
    from suggested_order import held_out_volumes

    from SegQualityQCLib.reading.images import read_image

    volumes, tested = held_out_volumes(), held_out_volumes(("test",))
    for index in np.unique(np.linspace(0, len(volumes) - 1, min(most, len(volumes))).round().astype(int)):
        volume = volumes[index]
        yield read_image(volume.image), read_image(volume.reference), volume in tested


def main() -> None:
    """Print all shares for one model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--volumes", type=int, default=1000, help="Held-out ACDC volumes at most; generated images: 5.")
    options = parser.parse_args()
    estimator = load_estimator(options.model, "cpu")
    print(f"model {estimator.bundle.name} {estimator.bundle.version}")
    grid, labels = demo_images()
    shape = grid.GetSize()[::-1]
    print("called unfamiliar, of images unlike the training data (goal: at least 95 %)")
    everything: list[QualityReport] = []
    for name, generate in GENERATED.items():
        rng = np.random.default_rng(SEED)
        images = [with_grid_of(generate(shape, rng), grid) for _ in range(5)]
        reports = [assessed(estimator, image, of_label(labels, MYOCARDIUM)) for image in images]
        known = [report for report in reports if report is not None]
        everything += known
        print_share(name, called_unfamiliar(known))
    if not os.environ.get("ACDC_ROOT"):
        print_share("all of these", called_unfamiliar(everything))
        sys.exit("Set ACDC_ROOT to the folder of the ACDC data set for the rest.")
    usual: list[QualityReport] = []
    across: list[QualityReport] = []
    wrong: dict[str, list[tuple[QualityReport, Volume]]] = {}
    right: list[float] = []
    for image, reference, tested in held_out(options.volumes):
        mask = of_label(reference, MYOCARDIUM)
        report = assessed(estimator, image, mask)
        right += [score.dice for score in (report.slices if report else ()) if score.dice is not None]
        if tested:
            usual += filter(None, [report])
            across += filter(None, [assessed(estimator, *long_axis(image, mask))])
        tries = {
            "the cavity given as myocardium": of_label(reference, LV_CAVITY),
            "mirrored in the image": mirrored_in_image(mask),
            "mirrored in its own box": mirrored(mask),
            f"shifted by {SHIFT_MM:g} mm": shifted(mask),
        }
        for kind, changed in tries.items():
            report = assessed(estimator, image, changed)
            wrong.setdefault(kind, []).extend([] if report is None else [(report, true_dice(changed, mask))])
    print_share("long-axis reslices of ACDC", called_unfamiliar(across))
    print_share("all of these", called_unfamiliar(everything + across))
    print(f"falsely called unfamiliar (goal: at most 2 %), {len(usual)} volumes of ACDC test patients")
    print_share("short-axis slices", called_unfamiliar(usual))
    print(f"predicted below {THRESHOLD}, of slices whose true Dice is below it (goal: at least 95 %)")
    for kind, pairs in wrong.items():
        print_low(kind, pairs)
    print_share("for comparison: the reference itself", (sum(dice < THRESHOLD for dice in right), len(right)))


if __name__ == "__main__":
    main()
