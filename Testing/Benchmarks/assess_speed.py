"""How long assessing takes, beside the networks alone and the imports alone, in one run.

Run: ``ACDC_ROOT=/path/to/acdc python Testing/Benchmarks/assess_speed.py``; without ACDC the small volume is the demo
heart. Times are medians. Compare the ratios across machines: the ratio of times where nothing else runs, the ratio of
processor times on a busy machine too.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.estimators.loading import load_estimator

_LARGE = (512, 512, 300)


def median_ms(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median duration and processor time of ``work`` in milliseconds, after one run that does not count."""
    work()
    times = []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        work()
        times.append((1000 * (time.perf_counter() - start), 1000 * (time.process_time() - used)))
    wall, processor = zip(*times, strict=True)
    return statistics.median(wall), statistics.median(processor)


def small_case() -> Case:
    """The first ACDC volume, of 10 slices, with its own myocardium as the candidate; the demo heart without ACDC."""
    if "ACDC_ROOT" not in os.environ:
        return demo_case()
    folder = Path(os.environ["ACDC_ROOT"]) / "training" / "patient001"
    images = (folder / "patient001_frame01.nii.gz", folder / "patient001_frame01_gt.nii.gz")
    return Case.from_images(*map(sitk.ReadImage, map(str, images)), label=2, segment="LV myocardium")


def large_case() -> Case:
    """The demo heart enlarged to 512 x 512 x 300 voxels of 0.7 x 0.7 x 1 mm, drawn on every slice."""
    demo = demo_case()
    spacing = (0.7, 0.7, 1.0)
    grid = sitk.Image(_LARGE, sitk.sitkInt16)
    grid.SetSpacing(spacing)
    middle = demo.image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in demo.image.GetSize()])
    grid.SetOrigin([m - (n - 1) / 2 * s for m, n, s in zip(middle, _LARGE, spacing, strict=True)])
    squeeze = sitk.AffineTransform(3)
    squeeze.SetMatrix([1, 0, 0, 0, 1, 0, 0, 0, 0.2])
    squeeze.SetCenter(middle)
    image = sitk.Resample(demo.image, grid, squeeze, sitk.sitkLinear, 0.0, sitk.sitkInt16)
    mask = sitk.Resample(demo.mask, grid, squeeze, sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)
    return Case.from_images(image, mask, label=1, axis="k", segment="myocardium")


def compare(name: str, case: Case, repeats: int, goal: float) -> None:
    """Print the time of an assessment beside that of the networks on the same prepared tensors."""
    estimator = load_estimator(None, "cpu")
    windowed = estimator.inputs(case)
    drawn = np.flatnonzero(windowed.mask.any(axis=(1, 2)))
    batches = [drawn[first : first + 8] for first in range(0, len(drawn), 8)]

    def networks() -> None:
        for rows in batches:
            estimator.predict(windowed.image[rows], windowed.mask[rows])

    whole, used = median_ms(lambda: estimator.assess(case), repeats)
    bare, bare_used = median_ms(networks, repeats)
    print(
        f"{name}, model {estimator.bundle.name}: assess {whole:.0f} ms, networks alone {bare:.0f} ms, ratio "
        f"{whole / bare:.2f}, of processor time {used / bare_used:.2f} (goal at most {goal})"
    )
    report = estimator.assess(case)
    target = int(drawn[len(drawn) // 2])
    once, used = median_ms(lambda: estimator.rescore(case, report, [target]), 20)
    print(f"{name}: re-scoring one slice {once:.0f} ms, processor time {used:.0f} ms (goal under 50 ms on two cores)")


def print_peak_memory(folder: Path) -> None:
    """Print the peak memory of a process that assesses the large case above that of the imports alone."""
    case = large_case()
    sitk.WriteImage(case.image, str(folder / "image.mha"))
    sitk.WriteImage(case.mask, str(folder / "mask.mha"))
    # Linux alone: a child's ru_maxrss would start from the size of this process.
    peak = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    assess = (
        "from SegQualityQCLib.estimators.loading import load_estimator\n"
        "from SegQualityQCLib.reading.cases import read_cases\n"
        f"cases = read_cases({str(folder / 'image.mha')!r}, {str(folder / 'mask.mha')!r}, axis='k')\n"
        "load_estimator(None, 'cpu').assess(cases[0])\n"
    )
    used = [
        int(
            subprocess.run(
                [sys.executable, "-c", code + peak], capture_output=True, encoding="utf-8", check=True
            ).stdout
        )
        for code in ("import torch, SimpleITK\n", assess)
    ]
    print(f"512x512x300: peak memory {(used[1] - used[0]) / 1024:.0f} MB above the imports (goal under 400 MB)")


def print_cold_start(folder: Path) -> None:
    """Print the time of the whole command beside that of importing torch and SimpleITK."""
    case = demo_case()
    sitk.WriteImage(case.image, str(folder / "image.nii.gz"))
    sitk.WriteImage(case.mask, str(folder / "mask.nii.gz"))
    command = [str(Path(sys.executable).with_name("segquality")), "assess"]
    command += [str(folder / "image.nii.gz"), str(folder / "mask.nii.gz"), "--quiet"]
    imports = [sys.executable, "-c", "import torch, SimpleITK"]
    pairs = []
    for _ in range(6):
        pairs.append([*process_ms(command), *process_ms(imports)])
    whole, used, bare, bare_used = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
    print(
        f"cold: segquality assess {whole:.0f} ms, imports {bare:.0f} ms, ratio {whole / bare:.2f}, of processor time "
        f"{used / bare_used:.2f} (goal at most 1.5)"
    )


def process_ms(command: list[str]) -> tuple[float, float]:
    """Duration and processor time of one process in milliseconds."""
    start, used = time.perf_counter(), _processor_seconds_of_children()
    subprocess.run(command, check=True, capture_output=True)
    return 1000 * (time.perf_counter() - start), 1000 * (_processor_seconds_of_children() - used)


def _processor_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does, before torch is loaded
    import torch

    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    compare("10 slices", small_case(), 20, 1.3)
    compare("512x512x300", large_case(), 3, 2)
    with tempfile.TemporaryDirectory() as name:
        print_peak_memory(Path(name))
        print_cold_start(Path(name))
