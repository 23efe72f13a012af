"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Shared machines are slow at times: a deadline would fail tests that are right.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

_REPOSITORY = Path(__file__).resolve().parents[2]


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
