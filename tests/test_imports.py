"""Which package, folder and library imports which: read from the source, without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.unit

PACKAGES = ("charseq", "pipeline", "trainer")
# Seconds each, and memory: a module of charseq that needs one imports it in the function.
HEAVY = {"apache_beam", "keras", "pandas", "pyarrow", "tensorflow", "tensorflow_transform"}


def modules_of(package: str) -> dict[str, Path]:
    """Return the source file of every module below a package, by its full name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted((ROOT / package).rglob("*.py"))
    }


MODULES = {name: path for package in PACKAGES for name, path in modules_of(package).items()}


def imports_of(name: str, *, at_import: bool = False) -> set[str]:
    """Return the names of all modules that a module imports.

    Args:
        name: of the module.
        at_import: leave out what only functions import, and what only type checkers read.
    """
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    nodes = _run_at_import(tree) if at_import else ast.walk(tree)
    return {imported for node in nodes for imported in _imported_modules(node)}


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if not is_function and not _is_for_type_checkers(child):
            yield from _run_at_import(child)


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _imported_modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "a relative import"
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            yield submodule if submodule in MODULES else str(node.module)


def libraries_of(package: str, *, at_import: bool = False) -> set[str]:
    """Return the top-level names of what the modules of a package import."""
    return {
        imported.partition(".")[0]
        for name in modules_of(package)
        for imported in imports_of(name, at_import=at_import)
    }


def folder_of(name: str) -> str:
    """Return the folder of a module; a module that lies in the package itself is its own."""
    return ".".join(name.split(".")[:2])


def test_charseq_imports_neither_the_pipeline_nor_the_trainer() -> None:
    assert not libraries_of("charseq") & {"pipeline", "trainer"}


def test_importing_charseq_imports_no_heavy_library() -> None:
    assert not libraries_of("charseq", at_import=True) & HEAVY


def test_the_pipeline_does_not_import_the_trainer() -> None:
    assert "trainer" not in libraries_of("pipeline")


def test_the_trainer_imports_neither_the_pipeline_nor_beam_nor_transform() -> None:
    assert not libraries_of("trainer") & {"pipeline", "apache_beam", "tensorflow_transform"}


def test_no_package_imports_the_tests_or_the_benchmarks() -> None:
    assert not {"tests", "benchmarks"} & set().union(*map(libraries_of, PACKAGES))


def test_models_are_loaded_where_their_operations_are_checked() -> None:
    loaders = {"tf.saved_model.load", "tf.compat.v1.saved_model.load", "keras.saving.load_model"}
    found = {
        name: called
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and (called := ast.unparse(node.func)) in loaders
    }
    assert found == {
        "charseq.models.saved_model": "tf.saved_model.load",
        "trainer.evaluate.keras_file": "keras.saving.load_model",
        # The export that this process has just written.
        "trainer.export.saved_model": "tf.compat.v1.saved_model.load",
    }


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    TopologicalSorter({name: imports_of(name) for name in MODULES}).prepare()


def test_folders_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for name in MODULES:
        others = {folder_of(imported) for imported in imports_of(name) if imported in MODULES}
        graph.setdefault(folder_of(name), set()).update(others - {folder_of(name)})
    TopologicalSorter(graph).prepare()


def test_predictions_and_datasets_do_not_import_each_other() -> None:
    for folder, other in (("pipeline.predict", "dataset"), ("pipeline.dataset", "predict")):
        for name in MODULES:
            if folder_of(name) == folder:
                imported = {folder_of(module) for module in imports_of(name)}
                assert f"pipeline.{other}" not in imported, name


def test_runtime_imports_neither_rows_nor_datasets_nor_predictions() -> None:
    for name in MODULES:
        if folder_of(name) == "pipeline.runtime":
            upper = {"pipeline.rows", "pipeline.dataset", "pipeline.predict"}
            assert not upper & {folder_of(module) for module in imports_of(name)}, name
