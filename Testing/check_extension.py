"""Checks, without a network, what the Extensions Manager requires: ``python Testing/check_extension.py``.

Needs only Python 3.10. Prints each check with ok or failed and the reason. Exit status: the number of failed checks.
"""

from __future__ import annotations

import ast
import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#"
)
REQUIRED_FIELDS = {"$schema", "category", "scm_url"}
OPTIONAL_FIELDS = {"scm_revision", "scm_type", "build_dependencies", "build_subdirectory", "enabled", "tier"}
METADATA = ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS")
SLICER_BRINGS = {"slicer", "vtk", "qt", "ctk", "SimpleITK", "numpy", "scipy"}
LARGEST_CLONE_MB = 100
# Statements that a module of Slicer may have at file scope: anything else would run at every start of Slicer.
_FILE_SCOPE = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.ClassDef, ast.FunctionDef, ast.If)
_TEXT = {".py", ".md", ".txt", ".json", ".yml", ".yaml", ".toml", ".cff", ".ui", ".svg", ".cmake", ".cfg", ""}


class Extension:
    """A checkout of an extension, and what its files say."""

    def __init__(self, root: Path) -> None:
        """Read CMakeLists.txt and the name of the extension in it."""
        self.root = root
        self.cmake = (root / "CMakeLists.txt").read_text(encoding="utf-8")
        found = re.search(r"^project\((\w+)\)$", self.cmake, re.MULTILINE)
        self.name = found.group(1) if found else ""

    def metadata(self, field: str) -> str:
        """The value of ``set(EXTENSION_field "value")`` on one line; empty if there is no such line."""
        found = re.search(rf'^set\(EXTENSION_{field} "([^"\n]*)"\)$', self.cmake, re.MULTILINE)
        return found.group(1) if found else ""

    def catalogue_entry(self) -> dict:
        """The content of the catalogue's JSON file."""
        return json.loads((self.root / f"{self.name}.json").read_text(encoding="utf-8"))

    def listed(self, variable: str) -> list[str]:
        """The files of a list in the root CMakeLists.txt."""
        found = re.search(rf"set\({variable}\n(.*?)\)", self.cmake, re.DOTALL)
        return found.group(1).split() if found else []

    def file_of(self, url: str) -> Path:
        """The file of this checkout for a raw.githubusercontent.com address of its main branch."""
        return self.root / url.partition("/main/")[2]

    def installed_python(self) -> list[Path]:
        """The Python files that are installed into Slicer."""
        files = [self.root / name for name in self.listed("LIBRARY_PYTHON_SCRIPTS")]
        return [*files, self.module_file()]

    def module_file(self) -> Path:
        """The scripted module."""
        return self.root / self.name / f"{self.name}.py"

    def files(self) -> list[Path]:
        """The files under version control; without Git all but environments, caches and builds."""
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=self.root, capture_output=True, check=False)
        if listing.returncode == 0 and listing.stdout:
            return [
                path for name in listing.stdout.decode().split("\0") if name and (path := self.root / name).is_file()
            ]
        left_out = re.compile(r"\..+|__pycache__|build|dist|site|runs|.+\.egg-info")
        files = (path for path in self.root.rglob("*") if path.is_file())
        return [p for p in files if not any(left_out.fullmatch(part) for part in p.relative_to(self.root).parts[:-1])]

    def history_size(self) -> int:
        """Bytes of history that a clone downloads: each object once, even if several packs of this checkout hold it."""
        command = ["git", "rev-list", "--objects", "--all", "--disk-usage"]
        counted = subprocess.run(command, cwd=self.root, capture_output=True, check=False)
        return int(counted.stdout) if counted.returncode == 0 else 0


def names_agree(extension: Extension) -> Iterator[str]:
    """Names: CMake project, catalogue entry, module folder, module classes, repository"""
    name, root = extension.name, extension.root
    if not name:
        yield "CMakeLists.txt has no line project(NAME)"
        return
    if not (root / f"{name}.json").is_file():
        yield f"{name}.json is missing"
    if not extension.module_file().is_file():
        yield f"{name}/{name}.py is missing"
        return
    tree = ast.parse(extension.module_file().read_text(encoding="utf-8"))
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    for wanted in (name, f"{name}Widget", f"{name}Logic", f"{name}Test"):
        if wanted not in classes:
            yield f"{name}.py has no class {wanted}"
    if not extension.metadata("HOMEPAGE").endswith(f"/Slicer{name}"):
        yield f"the repository is not named Slicer{name}"


def metadata_is_complete(extension: Extension) -> Iterator[str]:
    """Metadata: one-line quoted set() for each field"""
    for field in METADATA:
        if not extension.metadata(field):
            yield f'no line set(EXTENSION_{field} "...")'
    if len(extension.metadata("DESCRIPTION")) > 300:
        yield "EXTENSION_DESCRIPTION is longer than two sentences"


def catalogue_entry_is_valid(extension: Extension) -> Iterator[str]:
    """Catalogue entry: fields as in Slicer's schema, same dependencies and repository as CMake"""
    entry = extension.catalogue_entry()
    for field in sorted(REQUIRED_FIELDS - entry.keys()):
        yield f"field {field} is missing"
    for field in sorted(entry.keys() - REQUIRED_FIELDS - OPTIONAL_FIELDS):
        yield f"field {field} is not in the schema"
    if entry.get("$schema") != SCHEMA:
        yield "$schema is not that of version 1.0.1"
    if entry.get("tier", 5) not in (1, 3, 5):
        yield "tier is not 1, 3 or 5"
    if entry.get("build_dependencies", []) != extension.metadata("DEPENDS").split():
        yield "build_dependencies differ from EXTENSION_DEPENDS"
    if entry.get("scm_url", "").removesuffix(".git") != extension.metadata("HOMEPAGE"):
        yield "scm_url differs from EXTENSION_HOMEPAGE"


def urls_name_one_repository(extension: Extension) -> Iterator[str]:
    """Addresses: https, all of the repository in EXTENSION_HOMEPAGE"""
    repository = extension.metadata("HOMEPAGE").removeprefix("https://github.com/")
    raw = f"https://raw.githubusercontent.com/{repository}/main/"
    for url in [extension.metadata("ICONURL"), *extension.metadata("SCREENSHOTURLS").split()]:
        if not url.startswith(raw):
            yield f"{url} does not begin with {raw}"


def licence_is_there(extension: Extension) -> Iterator[str]:
    """Licence: Apache-2.0 at the root, named in README; one licence beside each model"""
    licence = extension.root / "LICENSE"
    if not licence.is_file() or "Apache License" not in licence.read_text(encoding="utf-8")[:300]:
        yield "LICENSE is not the Apache License"
    if "Apache License" not in _readme(extension):
        yield "README.md does not name the licence"
    for bundle in sorted(
        {path.parent.parent for path in extension.root.glob("Resources/Models/*/configs/metadata.json")}
    ):
        if not (bundle / "LICENSE").is_file():
            yield f"{bundle.name} has no LICENSE"


def icon_is_right(extension: Extension) -> Iterator[str]:
    """Icon: a PNG of 128 x 128 pixels at its address"""
    icon = extension.file_of(extension.metadata("ICONURL"))
    if not icon.is_file():
        yield f"{icon} is missing"
    elif _png_size(icon) != (128, 128):
        yield f"{icon.name} is not a PNG of 128 x 128 pixels"


def screenshots_are_there(extension: Extension) -> Iterator[str]:
    """Screenshots: at least one, each a PNG at its address"""
    urls = extension.metadata("SCREENSHOTURLS").split()
    if not urls:
        yield "EXTENSION_SCREENSHOTURLS is empty"
    for url in urls:
        if _png_size(extension.file_of(url)) is None:
            yield f"{extension.file_of(url)} is not a PNG"


def readme_has_what_reviewers_ask_for(extension: Extension) -> Iterator[str]:
    """README: summary, picture, module, tutorial with the source of its data, citation, intended use"""
    readme = _readme(extension)
    for what, pattern in {
        "a picture": r"!\[[^\]]+\]\(docs/images/",
        "the module": r"module \*\*",
        "a tutorial": r"docs/tutorial",
        "where its sample data is from": r"[Ss]ample",
        "the citation": r"CITATION\.cff",
        "the intended use": r"not a medical device",
    }.items():
        if not re.search(pattern, readme):
            yield f"README.md lacks {what}"


def clone_is_small(extension: Extension) -> Iterator[str]:
    """Size: a clone with its history stays under 100 MB"""
    files = sum(path.stat().st_size for path in extension.files())
    history = extension.history_size()
    if files + history > LARGEST_CLONE_MB * 1e6:
        yield f"{(files + history) / 1e6:.0f} MB"


def imports_are_what_slicer_brings(extension: Extension) -> Iterator[str]:
    """Imports: at file scope only what Slicer brings; torch in no file that opening the module imports"""
    reached = _reached_at_file_scope(extension, extension.module_file())
    for file in extension.installed_python():
        if not file.is_file():
            continue
        allowed = SLICER_BRINGS | set(sys.stdlib_module_names) | {extension.name, f"{extension.name}Lib"}
        if file not in reached:
            allowed |= {"torch"}
        for name in sorted({full.split(".")[0] for full in _file_scope_imports(extension, file)} - allowed):
            yield f"{file.relative_to(extension.root)} imports {name}"


def nothing_runs_at_import(extension: Extension) -> Iterator[str]:
    """Start: importing the file of the module runs nothing"""
    for node in ast.parse(extension.module_file().read_text(encoding="utf-8")).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring and not isinstance(node, _FILE_SCOPE):
            yield f"line {node.lineno} runs at import"


def cmake_lists_the_files(extension: Extension) -> Iterator[str]:
    """CMake: lists every file that is installed, and only files that are there"""
    scripts, resources = extension.listed("LIBRARY_PYTHON_SCRIPTS"), extension.listed("LIBRARY_RESOURCES")
    for name in [*scripts, *resources]:
        if not (extension.root / name).is_file():
            yield f"{name} is listed and not there"
    for names in (scripts, resources):
        if names != sorted(names):
            yield f"the list that begins with {names[0]} is not in order"
    module = {path.name for path in (extension.root / "SegQualityQC").iterdir()} - {"__pycache__"}
    if module != {"SegQualityQC.py", "CMakeLists.txt"}:
        yield f"the folder SegQualityQC holds {', '.join(sorted(module))}: only the module belongs there"
    folders = {Path(name).parent for name in scripts}
    for path in (path.relative_to(extension.root) for path in extension.files()):
        # The command is not installed, nor the file that starts it.
        listed = path.as_posix() in scripts or path.name == "__main__.py"
        unlisted = path.suffix == ".py" and path.parent in folders and not listed
        if unlisted and not _foreign_imports(extension, extension.root / path):
            yield f"{path.as_posix()} is there and not listed"
        if path.parts[0] == "Resources" and path.as_posix() not in resources:
            yield f"{path.as_posix()} is there and not listed"


def line_ends_are_lf(extension: Extension) -> Iterator[str]:
    """Line ends: LF in every text file"""
    for path in extension.files():
        if path.suffix in _TEXT and b"\r\n" in path.read_bytes():
            yield f"{path.relative_to(extension.root)} has CRLF"


CHECKS: tuple[Callable[[Extension], Iterator[str]], ...] = (
    names_agree,
    metadata_is_complete,
    catalogue_entry_is_valid,
    urls_name_one_repository,
    licence_is_there,
    icon_is_right,
    screenshots_are_there,
    readme_has_what_reviewers_ask_for,
    clone_is_small,
    imports_are_what_slicer_brings,
    nothing_runs_at_import,
    cmake_lists_the_files,
    line_ends_are_lf,
)


def _readme(extension: Extension) -> str:
    path = extension.root / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _png_size(path: Path) -> tuple[int, int] | None:
    """Width and height from a PNG's header; ``None`` if the file is missing or is not a PNG."""
    start = path.read_bytes()[:24] if path.is_file() else b""
    if len(start) < 24 or not start.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    width, height = struct.unpack(">II", start[16:24])
    return width, height


def _file_scope_imports(extension: Extension, file: Path) -> Iterator[str]:
    """Full names of what a file imports at file scope: not in functions, and not for type checking alone."""
    waiting: list[ast.AST] = [*ast.parse(file.read_text(encoding="utf-8")).body]
    package = file.relative_to(extension.root).with_suffix("").parts[:-1]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting.extend(node.orelse)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))


def _reached_at_file_scope(extension: Extension, start: Path) -> set[Path]:
    """The files that are executed when a file is imported."""
    reached, waiting = set(), [start]
    while waiting:
        file = waiting.pop()
        if file in reached or not file.is_file():
            continue
        reached.add(file)
        for full in _file_scope_imports(extension, file):
            parts = full.split(".")
            for end in range(1, len(parts) + 1):
                path = extension.root.joinpath(*parts[:end])
                waiting.extend([path.with_suffix(".py"), path / "__init__.py"])
    return reached


def _foreign_imports(extension: Extension, file: Path) -> set[str]:
    """What a file and its imports need beyond Slicer and torch: such a file is only for the command line."""
    allowed = SLICER_BRINGS | set(sys.stdlib_module_names) | {"torch", f"{extension.name}Lib"}
    files = _reached_at_file_scope(extension, file)
    return {full.split(".")[0] for reached in files for full in _file_scope_imports(extension, reached)} - allowed


def main(root: Path) -> int:
    """Print every check of a checkout; returns the number of failed checks."""
    extension = Extension(root)
    failed = 0
    for check in CHECKS:
        try:
            problems = list(check(extension))
        except (OSError, ValueError, SyntaxError) as error:
            problems = [f"{type(error).__name__}: {error}"]
        failed += bool(problems)
        print(f"{'failed' if problems else 'ok':8}{check.__doc__}")
        for problem in problems:
            print(f"{'':8}- {problem}")
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]))
