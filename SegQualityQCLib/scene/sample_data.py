"""The synthetic heart as a sample of Slicer's Sample Data module; it is computed on this machine, not downloaded."""

from __future__ import annotations

from typing import Any

import slicer

from ..resources import resources_folder

# Slicer imports this file when it starts: what computes the heart is imported when it is asked for.


def register_sample() -> None:
    """Offer the synthetic heart in the Sample Data module."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="SegQualityQC",
        sampleName="SegQualityQCDemoHeart",
        thumbnailFileName=str(resources_folder() / "Icons" / "SegQualityQC.png"),
        uris="",
        fileNames="",
        nodeNames="DemoHeart",
        customDownloader=_load_sample,
    )


def add_demo(scene: Any) -> list[Any]:
    """Add the synthetic heart and its candidate segmentation to a scene.

    Returns:
        The volume node and the segmentation node.
    """
    from ..demo import SEGMENT_NAME, demo_images
    from .images import add_segmentation, add_volume

    image, labels = demo_images()
    volume_node = add_volume(scene, image, "DemoHeart")
    return [volume_node, add_segmentation(scene, labels, volume_node, "DemoHeart segmentation", [SEGMENT_NAME])]


def _load_sample(source: Any) -> list[Any]:
    """Called by the Sample Data module, with the source that was registered."""
    nodes = add_demo(slicer.mrmlScene)
    slicer.util.setSliceViewerLayers(background=nodes[0], fit=True)
    return nodes
