"""Fixtures that all tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from cohort_cases import write_demo
from hypothesis import settings
from nnunet_study import write_nnunet

# Shared machines are slow at times: a deadline would fail tests that are right.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

_REPOSITORY = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, so that one process does not wait for the other in the end."""
    items.sort(key=lambda item: item.path.name != "test_training_workflow.py")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return _REPOSITORY


@pytest.fixture(scope="session")
def acdc_root() -> Path:
    """The ACDC data: ACDC_ROOT, or beside the checkout; tests that need it skip elsewhere."""
    root = Path(os.environ.get("ACDC_ROOT") or _REPOSITORY.parent / "shared" / "data" / "acdc")
    if not (root / "training").is_dir():
        pytest.skip("the ACDC data is not there: set ACDC_ROOT to try real patients")
    return root


@pytest.fixture(scope="session")
def mnms_root(acdc_root) -> Path:
    """The M&Ms data: MNMS_ROOT, or beside ACDC's; tests that need it skip elsewhere."""
    root = Path(os.environ.get("MNMS_ROOT") or acdc_root.parent / "mnms")
    if not (root / "patients.csv").is_file():
        pytest.skip("the M&Ms data is not there: set MNMS_ROOT to try several hospitals")
    return root


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder with the demo heart, as image.nii.gz and labels.nii.gz."""
    return write_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """A Dask cluster of two workers."""
    from dask.distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        yield cluster


@pytest.fixture
def mounted(tmp_path) -> Iterator[Callable[..., Path]]:
    """Mounts a file system in memory, ``mounted("size=64k")``; the test skips where that is not allowed."""
    folder = tmp_path / "mounted"

    def mount(*options: str) -> Path:
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
            folder.rmdir()
            pytest.skip("a small tmpfs needs the right to mount")
        return folder

    yield mount
    if folder.is_dir():
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def nnunet(tmp_path) -> Path:
    """Four cases in nnU-Net's raw layout."""
    return write_nnunet(tmp_path / "data")


@pytest.fixture
def module() -> ModuleType:
    """The file of Slicer's module, loaded into a new application."""
    from slicer_harness.application import start

    return start()


@pytest.fixture
def demo_panel(module) -> Iterator[object]:
    """The module's panel, open, with the sample heart in the scene."""
    from slicer_harness.application import open_panel

    module.SegQualityQCLogic().loadDemo()
    widget = open_panel(module)
    yield widget.panel
    widget.cleanup()
