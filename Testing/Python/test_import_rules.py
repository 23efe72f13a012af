"""Who may import what: arrows point down, there are no circles, and only the registry names families."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = "SegQualityQCLib"

# Each package may import those of the levels below its own, and none beside it.
LEVELS = (
    {"errors", "resources"},
    {"case", "storage"},
    {"reading", "report", "demo"},
    {"bundles"},
    {"estimators"},
    {"cohort"},
    {"review"},
    {"scene", "cli"},
    {"widgets", "__main__"},
)
BESIDE = {"widgets": "cli"}  # lies below, but in another front end
TOP_FILES = {"__init__", "__main__", "errors", "resources", "demo"}
OPTIONAL = {  # packages beyond numpy and SimpleITK, and where they may be imported
    "torch": {"estimators/networks", "estimators/loading", "cohort/scoring", "cli/main"},
    "slicer": {"scene", "widgets"},
    "vtk": {"scene", "widgets"},
    "qt": {"widgets"},
    "typer": {"cli"},
    "rich": {"cli"},
    "slicerio": {"reading"},
    "pydicom": {"reading/dicom"},
    "highdicom": {"reading/dicom"},
    "dask": {"cohort"},
    "distributed": {"cohort"},
    "jinja2": {"cohort"},
    "filelock": {"cohort"},
    "PIL": {"cohort"},
    "contourpy": {"cohort"},
}
FAMILIES = {path.parent.name for path in (ROOT / LIBRARY / "estimators").glob("*/__init__.py")}


def files() -> list[Path]:
    return sorted((ROOT / LIBRARY).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, at its top or later; imports for types alone count too."""
    package = module_of(path).split(".") if path.name == "__init__.py" else module_of(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> set[str]:
    """The files of the library that a file imports."""
    known = {module_of(other) for other in files()}
    return {name for name in imports(path) if name in known and name != module_of(path)}


def part(module: str) -> str:
    """The package of the library's top folder that a module is in, or its top file."""
    return module.split(".")[1] if "." in module else "__init__"


def level_of(name: str) -> int:
    return next(n for n, level in enumerate(LEVELS) if name in level)


def test_the_librarys_top_folder_holds_nothing_but_packages_and_its_five_files():
    assert {path.stem for path in (ROOT / LIBRARY).glob("*.py")} == TOP_FILES
    assert {path.name for path in (ROOT / LIBRARY).iterdir() if (path / "__init__.py").is_file()} == set().union(
        *LEVELS
    ) - (TOP_FILES - {"__init__"})


def test_a_file_imports_only_what_is_below_it():
    wrong, seen = [], 0
    for path in files():
        here = part(module_of(path))
        if here == "__init__":
            continue  # the public face names what it loads lazily
        for imported in own_imports(path):
            there = part(imported)
            seen += 1
            upward = there not in (here, "__init__") and level_of(there) >= level_of(here)
            if upward or BESIDE.get(here) == there:
                wrong.append(f"{module_of(path)} imports {imported}")
    assert seen > 100
    assert wrong == []


def test_training_imports_neither_what_slicer_needs_nor_the_command():
    seen = 0
    for path in sorted((ROOT / "training").rglob("*.py")):
        for imported in imports(path):
            words = imported.split(".")
            if words[0] == LIBRARY and len(words) > 1:
                seen += 1
                assert words[1] not in ("scene", "widgets", "cli"), f"{path} imports {imported}"
    assert seen > 50


def test_the_library_does_not_import_training():
    assert not [path for path in files() for imported in imports(path) if imported.split(".")[0] == "training"]


def test_there_are_no_circles():
    graph = {module_of(path): own_imports(path) - {LIBRARY} for path in files()}
    graph[LIBRARY] = set()  # lazily
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join([*above[above.index(module) :], module])
        if module not in done:
            for imported in sorted(graph[module]):
                visit(imported, (*above, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())
    assert len(done) == len(files())


def test_families_import_neither_each_other_nor_the_registry():
    seen = 0
    for path in files():
        parts = path.relative_to(ROOT / LIBRARY / "estimators").parts if "estimators" in path.parts else ()
        if len(parts) > 1 and parts[0] in FAMILIES:
            seen += 1
            for imported in own_imports(path):
                words = imported.split(".")
                assert imported not in {
                    f"{LIBRARY}.estimators.{name}" for name in ("registry", "loading", "selection")
                }, f"{path} imports {imported}"
                if words[1:2] == ["estimators"] and len(words) > 2 and words[2] in FAMILIES:
                    assert words[2] == parts[0], f"{path} imports another family: {imported}"
    assert seen


def test_only_the_registry_names_families():
    for path in files():
        inside = path.relative_to(ROOT / LIBRARY)
        if inside.parts[0] == "estimators" and len(inside.parts) > 2:
            continue
        for imported in own_imports(path):
            assert imported.split(".")[2:3] not in [[family] for family in FAMILIES] or (
                imported.split(".")[1] != "estimators"
            ), f"{inside} names a family: {imported}"


@pytest.mark.parametrize("package", OPTIONAL)
def test_a_package_beyond_the_core_is_imported_only_where_it_belongs(package):
    for path in files():
        inside = path.relative_to(ROOT / LIBRARY).with_suffix("").as_posix()
        if any(name.split(".")[0] == package for name in imports(path)):
            assert inside.startswith(tuple(OPTIONAL[package])), f"{inside} imports {package}"


def test_no_file_has_more_than_400_lines():
    sources = [
        p for top in (LIBRARY, "SegQualityQC", "training", "Testing", "docs") for p in (ROOT / top).rglob("*.py")
    ]
    long = {p.relative_to(ROOT).as_posix(): n for p in sources if (n := len(p.read_text("utf-8").splitlines())) > 400}
    assert sources
    assert long == {}
