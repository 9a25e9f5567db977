"""The functions that tests.break_promises breaks are still there, and so are the tests it names."""

from __future__ import annotations

import ast

import pytest

from tests.support.breakage import BREAKAGES, Breakage, find_breakage
from tests.support.paths import ROOT

pytestmark = pytest.mark.unit

each_breakage = pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda each: each.name)


@each_breakage
def test_a_breakage_names_a_function_of_the_project(breakage: Breakage) -> None:
    module, _, qualified = breakage.target.partition(":")
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for name in qualified.split("."):
        definitions = (ast.FunctionDef, ast.ClassDef)
        body = next(
            node.body for node in body if isinstance(node, definitions) and node.name == name
        )


@each_breakage
def test_a_breakage_names_tests_that_exist(breakage: Breakage) -> None:
    path, _, _ = breakage.tests.partition(" -k ")
    assert (ROOT / path).is_file()


def test_the_names_of_breakages_are_unique() -> None:
    assert len({breakage.name for breakage in BREAKAGES}) == len(BREAKAGES)


def test_an_unknown_breakage_is_an_error() -> None:
    with pytest.raises(pytest.UsageError, match="got 'nothing', expected one of unseen-labels"):
        find_breakage("nothing")
