"""The CMake files list every file that the extension installs, and nothing else."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "SegQualityQCLib"
# Typer, Dask, Jinja2, Pillow and contourpy, which Slicer does not bring.
NEEDS_OTHER_PACKAGES = ("cli/*", *(f"cohort/{name}.py" for name in ("page", "pictures", "running", "scoring")))


def listed(name):
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.search(rf"set\({name}\n(.*?)\)", text, re.DOTALL).group(1).split()


def test_every_library_file_is_listed():
    files = [path.relative_to(ROOT) for path in LIBRARY.rglob("*.py")]
    left_out = {path.relative_to(ROOT) for pattern in NEEDS_OTHER_PACKAGES for path in LIBRARY.glob(pattern)}
    expected = [path.as_posix() for path in files if path not in left_out]
    assert listed("LIBRARY_PYTHON_SCRIPTS") == sorted(expected)


def test_every_resource_is_listed():
    files = [p for folder in ("Icons", "Models", "UI") for p in (ROOT / "Resources" / folder).rglob("*") if p.is_file()]
    assert listed("LIBRARY_RESOURCES") == sorted(path.relative_to(ROOT).as_posix() for path in files)


def test_the_module_folder_holds_the_module_alone():
    names = {path.name for path in (ROOT / "SegQualityQC").iterdir() if path.name != "__pycache__"}
    assert names == {"SegQualityQC.py", "CMakeLists.txt"}
