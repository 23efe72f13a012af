"""SegQualityQC: how good is a segmentation, slice by slice, without a reference."""

__version__ = "0.1.0"
