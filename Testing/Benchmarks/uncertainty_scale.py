"""Time and memory of the methods that need no training, on a large volume.

Usage: python Testing/Benchmarks/uncertainty_scale.py [--samples N] [--size I J K]
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.estimators.built_in import built_in_bundle
from SegQualityQCLib.estimators.loading import load_estimator


def ellipsoid(size: tuple[int, int, int], radius: float) -> np.ndarray:
    """Voxels, with axes k, j, i, of an ellipsoid in the middle; its radius is a share of the half size."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) ** 2 for n in reversed(size)]
    return axes[0][:, None, None] + axes[1][:, None] + axes[2] < radius**2


def main() -> None:
    """Print seconds and the highest memory of both methods."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--size", type=int, nargs=3, default=(512, 512, 300))
    options = parser.parse_args()
    size = tuple(options.size)
    image = sitk.Image(size, sitk.sitkInt16)
    image[0, 0, 0] = 1
    case = Case.from_images(image, sitk.GetImageFromArray(ellipsoid(size, 0.5).astype(np.uint8)))
    radii = np.linspace(0.45, 0.55, options.samples)
    samples = tuple(sitk.GetImageFromArray(ellipsoid(size, radius).astype(np.uint8)) for radius in radii)
    probabilities = sitk.Cast(ellipsoid_image(size), sitk.sitkFloat32) * 0.9
    for method, full in (
        ("agreement", replace(case, samples=samples)),
        ("probabilities", replace(case, probabilities=probabilities)),
    ):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.perf_counter()
        report = load_estimator(built_in_bundle(method)).assess(full)
        seconds = time.perf_counter() - begin
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            f"{method}: {size}, {options.samples if method == 'agreement' else 1} inputs: {seconds:.1f} s, volume "
            f"{report.volume.dice:.3f}, highest memory {before / 2**20:.2f} GB before, {after / 2**20:.2f} GB after"
        )


def ellipsoid_image(size: tuple[int, int, int]) -> sitk.Image:
    """The ellipsoid of the candidate, as an image."""
    return sitk.GetImageFromArray(ellipsoid(size, 0.5).astype(np.uint8))


if __name__ == "__main__":
    main()
