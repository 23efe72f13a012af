"""What pip installs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile

import pytest


@pytest.fixture(scope="module")
def installed(repository, tmp_path_factory):
    """The wheel, unpacked where pip would put it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(repository)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_library_with_its_models_and_nothing_else(installed):
    tops = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"SegQualityQCLib"}
    assert not list(installed.rglob("test_*.py"))
    assert (installed / "SegQualityQCLib" / "cohort" / "templates" / "page.html.jinja").is_file()


def test_the_installed_library_finds_its_models_away_from_the_checkout(installed, tmp_path):
    code = (
        "import SegQualityQCLib; from SegQualityQCLib.bundles.catalogue import available_bundles\n"
        "bundles = [SegQualityQCLib.ModelBundle.load(path) for path in available_bundles()]\n"
        "print(SegQualityQCLib.__file__); print(*[bundle.name for bundle in bundles])"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=True
    )
    file, names = run.stdout.splitlines()
    assert file.startswith(str(installed))
    assert "acdc-lv-myocardium" in names.split()


def test_the_constraints_pin_everything_and_name_no_host(repository):
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert "torch==2.13.0" in lines
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^\s/:]+", line) for line in lines)
