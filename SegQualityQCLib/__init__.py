"""SegQualityQC: how good is a segmentation, slice by slice, without a reference.

Example::

    from SegQualityQCLib import load_estimator, read_cases

    for case in read_cases("image.nii.gz", "segmentation.seg.nrrd"):
        report = load_estimator().assess(case)
        print(case.segment, report.volume.dice, report.order[:3])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bundles.bundle import ModelBundle
    from .case.case import Case
    from .estimators.loading import load_estimator
    from .reading.cases import read_cases
    from .report.report import QualityReport

__version__ = "0.1.0"
__all__ = ["Case", "ModelBundle", "QualityReport", "load_estimator", "read_cases"]

# Loaded when they are asked for: importing the package must import neither SimpleITK nor a runtime for networks.
_MODULES = {
    "Case": "case.case",
    "ModelBundle": "bundles.bundle",
    "QualityReport": "report.report",
    "load_estimator": "estimators.loading",
    "read_cases": "reading.cases",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
