"""The extension is as the Extensions Manager asks, and the script that checks it notices when it is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest


def check(repository, root):
    """The script's verdicts on a checkout: its exit status, and the lines it printed."""
    command = [sys.executable, str(repository / "Testing" / "check_extension.py"), str(root)]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return run.returncode, run.stdout.splitlines()


@pytest.fixture
def copy(repository, tmp_path):
    """A copy of what the script looks at, to be broken."""
    root = tmp_path / "extension"
    for folder in ("SegQualityQC", "SegQualityQCLib", "Resources", "docs"):
        shutil.copytree(repository / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for pattern in ("*.md", "*.txt", "*.json", "LICENSE"):
        for path in repository.glob(pattern):
            shutil.copy(path, root)
    return root


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def add_line(path, line):
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")


def change_entry(root, **fields):
    path = root / "SegQualityQC.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **fields}), encoding="utf-8")


def test_this_checkout_passes_every_check(repository):
    status, lines = check(repository, repository)
    assert status == 0, "\n".join(lines)
    assert all(line.startswith("ok") for line in lines)
    assert len(lines) >= 12


def test_a_whole_copy_passes(repository, copy):
    status, lines = check(repository, copy)
    assert status == 0, "\n".join(lines)


FAULTS = {
    "another project name": lambda r: replace(r / "CMakeLists.txt", "project(SegQualityQC)", "project(Other)"),
    "metadata over two lines": lambda r: replace(r / "CMakeLists.txt", '_DEPENDS "', '_DEPENDS\n "'),
    "an unknown catalogue field": lambda r: change_entry(r, colour="blue"),
    "another repository": lambda r: change_entry(r, scm_url="https://github.com/someone/else.git"),
    "another dependency": lambda r: change_entry(r, build_dependencies=[]),
    "no licence": lambda r: (r / "LICENSE").unlink(),
    "an icon that is no PNG": lambda r: (r / "Resources" / "Icons" / "SegQualityQC.png").write_bytes(b"GIF89a"),
    "a missing screenshot": lambda r: (r / "docs" / "images" / "panel.png").unlink(),
    "a README without pictures": lambda r: (r / "README.md").write_text("# SegQualityQC\n", encoding="utf-8"),
    "torch when the module opens": lambda r: add_line(r / "SegQualityQCLib" / "resources.py", "import torch"),
    "a package that Slicer lacks": lambda r: add_line(r / "SegQualityQCLib" / "case" / "case.py", "import monai"),
    "work at import": lambda r: add_line(r / "SegQualityQC" / "SegQualityQC.py", "print()"),
    "an unlisted file": lambda r: (r / "SegQualityQCLib" / "forgotten.py").write_text("", encoding="utf-8"),
    "a listed file that is gone": lambda r: (r / "SegQualityQCLib" / "demo.py").unlink(),
    "Windows line ends": lambda r: (r / "CHANGELOG.md").write_bytes(b"# Changelog\r\n"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_copy_fails(repository, copy, fault):
    FAULTS[fault](copy)
    status, lines = check(repository, copy)
    assert status >= 1
    failed = [line for line in lines if line.startswith("failed")]
    assert len(failed) == status
    assert any(line.lstrip().startswith("- ") for line in lines)  # and says why


def git(root, *arguments, **options):
    """What a git command prints, with no compression and a committer of its own."""
    settings = ("-c", "core.compression=0", "-c", "user.name=Tester", "-c", "user.email=tester@example.org")
    command = ["git", *settings, *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, encoding="utf-8", **options).stdout


def commit_file_of(root, megabytes):
    """Commit an incompressible file, and take it away again in the next commit; returns the name of its object."""
    path = root / "weights.bin"
    path.write_bytes(os.urandom(megabytes * 10**6))
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "Weights")
    name = git(root, "rev-parse", "HEAD:weights.bin")
    git(root, "rm", "--quiet", "weights.bin")
    git(root, "commit", "--quiet", "--message", "No weights")
    return name


def test_a_history_of_more_than_100_mb_fails(repository, copy):
    commit_file_of(copy, 101)
    status, lines = check(repository, copy)
    assert status == 1
    assert any(line.startswith("failed  Size") for line in lines)


def test_what_the_checkout_stores_twice_is_no_longer_to_clone(repository, copy):
    name = commit_file_of(copy, 55)
    git(copy, "pack-objects", ".git/objects/pack/pack", input=name)
    stored = sum(path.stat().st_size for path in (copy / ".git").rglob("*") if path.is_file())
    assert stored > 110e6
    status, lines = check(repository, copy)
    assert status == 0, "\n".join(lines)
