"""The extension is configured and installed as Slicer's build system does it, and the installed module works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

# Runs away from the checkout: the module comes from the folder of the installation, the stand-in for Qt from the tests.
USE_THE_INSTALLED_MODULE = """
import sys
from pathlib import Path
from slicer_harness.application import open_panel, process_events, start
modules = Path(sys.argv[1])
module = start(modules / "SegQualityQC.py")
module.SegQualityQCLogic().loadDemo()
widget = open_panel(module)
widget.ui.assessButton.click()
process_events(lambda: not widget.panel.steps.running)
import SegQualityQCLib
from SegQualityQCLib.resources import resources_folder
print(SegQualityQCLib.__file__)
print(resources_folder())
print(widget.ui.resultsTable.rowCount())
widget.cleanup()
"""


@pytest.fixture(scope="module")
def installed(repository, tmp_path_factory):
    """The folder of scripted modules of an installation."""
    if sys.platform != "win32" and not (shutil.which("cc") and shutil.which("make")):
        pytest.skip("CMake configures a project only where there are a C compiler and make")
    folder = tmp_path_factory.mktemp("cmake")
    package = repository / "Testing" / "Python" / "slicer_cmake"
    configure = [*_cmake(), "-S", str(repository), "-B", str(folder / "build"), f"-DSlicer_DIR={package}"]
    for command in (configure, [*_cmake(), "--install", str(folder / "build"), "--prefix", str(folder / "installed")]):
        run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        assert run.returncode == 0, run.stdout + run.stderr
    return folder / "installed" / "lib" / "Slicer-5.10" / "qt-scripted-modules"


def _cmake():
    """The CMake of the Python package, so that none needs to be on the path."""
    return [sys.executable, "-c", "import cmake; cmake.cmake()"]


def test_module_library_and_resources_lie_side_by_side(installed):
    assert {path.name for path in installed.iterdir()} == {"SegQualityQC.py", "SegQualityQCLib", "Resources"}
    assert (installed / "Resources" / "UI" / "SegQualityQC.ui").is_file()
    assert (installed / "Resources" / "Icons" / "SegQualityQC.png").is_file()
    assert list(installed.glob("Resources/Models/*/models/reg_net.pt"))


def test_what_needs_other_packages_is_not_installed(installed):
    names = {path.name for path in (installed / "SegQualityQCLib").iterdir()}
    assert "scene" in names
    assert "cli" not in names
    assert not list(installed.rglob("test_*.py"))


def test_slicer_gets_its_description_and_the_self_test(installed, tmp_path):
    root = installed.parents[2]
    description = (root / "share" / "Slicer-5.10" / "SegQualityQC.s4ext").read_text(encoding="utf-8")
    assert "depends PyTorch" in description
    tests = (root.parent / "build" / "SegQualityQC" / "CTestTestfile.cmake").read_text(encoding="utf-8")
    assert "py_SegQualityQC" in tests
    assert "ModuleGenericTest" in tests


def test_the_installed_module_assesses_the_demo_heart(installed, repository, tmp_path):
    # Slicer puts the folder of the module on sys.path.
    folders = [str(installed), str(repository / "Testing" / "Python")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    command = [sys.executable, "-c", USE_THE_INSTALLED_MODULE, str(installed)]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    library, resources, rows = run.stdout.splitlines()[-3:]
    assert library.startswith(str(installed))
    assert resources == str(installed / "Resources")
    assert rows == "10"
