"""Figures like the paper's 3, 4 and 6, on the synthetic demo heart: no patient's image is shown."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from scipy import ndimage

from SegQualityQCLib.case.case import Case
from SegQualityQCLib.demo import MYOCARDIUM, demo_images, demo_reference
from SegQualityQCLib.estimators.networks.inputs import NetworkInputs
from SegQualityQCLib.estimators.networks.rec_reg import RecRegEstimator
from SegQualityQCLib.report.report import QualityReport

from ..export.bundling import load_networks
from ..metrics.dice import dice_of_arrays

_SLICE = 3


def draw_figures(estimator: RecRegEstimator, folder: Path) -> list[str]:
    """Draw reconstructions and sample predictions into a folder; returns the file names."""
    image = demo_images()[0]
    reference = Case.from_images(image, demo_reference(), label=MYOCARDIUM, segment="myocardium")
    candidate = Case.from_images(*demo_images(), label=MYOCARDIUM, segment="myocardium")
    _draw_reconstructions(estimator, estimator.inputs(reference), folder / "reconstructions.png")
    report = estimator.assess(candidate)
    _draw_predictions(report, candidate, estimator.inputs(candidate), folder / "predictions.png")
    return ["reconstructions.png", "predictions.png"]


def _draw_reconstructions(estimator: RecRegEstimator, seen: NetworkInputs, path: Path) -> None:
    """Image, masked image, reconstruction and difference for a right, too large, too small and misplaced mask."""
    image, mask = seen.image[_SLICE], seen.mask[_SLICE].astype(bool)
    masks = {
        "reference": mask,
        "too large": ndimage.binary_dilation(mask, iterations=4),
        "too small": mask & (ndimage.distance_transform_edt(mask) > 2),
        "not overlapping": np.roll(mask, (-38, 30), axis=(0, 1)),
    }
    figure, axes = plt.subplots(len(masks), 4, figsize=(8, 8.4), constrained_layout=True)
    for row, (name, drawn) in zip(axes, masks.items(), strict=True):
        masked = image * ~drawn
        with torch.inference_mode():
            batch = torch.from_numpy(masked.astype(np.float32))[None, None]
            reconstructed = estimator.rec_net(batch)[0, 0].numpy()
        difference = image - reconstructed
        for axis, picture in zip(row, (image, masked, reconstructed), strict=False):
            axis.imshow(picture, cmap="gray", vmin=-1, vmax=1)
        row[0].contour(drawn, [0.5], colors="yellow", linewidths=0.8)
        row[3].imshow(difference, cmap="RdBu", vmin=-1, vmax=1)
        row[0].set_ylabel(name)
    for axis, title in zip(axes[0], ("image and mask", "masked image", "reconstruction", "difference"), strict=True):
        axis.set_title(title)
    _save(figure, axes, path)


def _draw_predictions(report: QualityReport, case: Case, seen: NetworkInputs, path: Path) -> None:
    """Every drawn slice with its candidate and reference, true and predicted Dice."""
    reference = sitk.GetArrayFromImage(demo_reference()) == MYOCARDIUM
    mask = sitk.GetArrayViewFromImage(case.mask).astype(bool)
    scored = [score for score in report.slices if score.dice is not None]
    figure, axes = plt.subplots(2, (len(scored) + 1) // 2, figsize=(9.6, 5.4), constrained_layout=True)
    for axis, score in zip(axes.ravel(), scored, strict=False):
        k = score.index
        true = dice_of_arrays(mask[k], reference[k])
        axis.imshow(seen.image[k], cmap="gray", vmin=-1, vmax=1)
        axis.contour(seen.mask[k], [0.5], colors="yellow", linewidths=0.8)
        axis.set_title(f"true {true:.2f}\npredicted {score.dice:.2f} [{score.low:.2f}, {score.high:.2f}]", fontsize=9)
    _save(figure, axes, path)


def _save(figure: plt.Figure, axes: NDArray, path: Path) -> None:
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=60)
    plt.close(figure)


def figures_of(bundle: Path, folder: Path) -> list[str]:
    """Draw the figures of a bundle with a REC-Net into a folder; gives their file names, none without a REC-Net."""
    estimator = load_networks(bundle)
    return draw_figures(estimator, folder) if isinstance(estimator, RecRegEstimator) else []
