"""python -m benchmarks.codebase [DIRECTORY]: figures of the code, as Markdown.

Modules per folder, function length, parameters, docstrings that begin with a verb, and lines that
build HTML, over the packages `charseq`, `pipeline` and `trainer` of a checkout.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("charseq", "pipeline", "trainer")
_HTML = re.compile(r"</?[a-z][a-z0-9]*[ >/]|^\s*[.a-z#:@-][^()]*\{.*[;}]?\s*$")
# First words that are nouns, pronouns or adjectives, though a rule on the ending would miss it.
_NO_VERBS = """
    a accuracy all an as at beam both by code each every first for from half how in is it its
    json like no not of on one over sequence shape sigterm size some step text that the their
    these this those to true two what where whether which whole with
"""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main(root: Path) -> None:
    """Print the figures of the checkout in `root`."""
    modules = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    modules = [path for path in modules if path.name != "__init__.py"]
    functions = [each for path in modules for each in _functions(path)]
    lengths = sorted((each.end_lineno or 0) - each.lineno + 1 for each in functions)
    parameters = sorted(len(_parameters(each)) for each in functions)
    first_words = [word for each in functions if (word := _first_word(each))]
    verbs = sum(_is_verb(word) for word in first_words)
    folders = Counter(path.parent.relative_to(root).as_posix() for path in modules)
    print("| figure | value |\n|---|---|")
    print(f"| modules | {len(modules)} |")
    print(f"| modules per folder | {', '.join(f'{k} {n}' for k, n in sorted(folders.items()))} |")
    print(f"| function length: median / p90 / max | {_spread(lengths)} |")
    print(f"| parameters: median / p90 / max | {_spread(parameters)} |")
    print(f"| docstrings of functions that begin with a verb | {verbs} of {len(first_words)} |")
    print(f"| lines with HTML, CSS or SVG in Python | {sum(map(_html_lines, modules))} |")


def _functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def _parameters(function: Function) -> list[ast.arg]:
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [argument for argument in every if argument.arg not in ("self", "cls")]


def _first_word(function: Function) -> str | None:
    """Return the first word of a docstring; None for a property, which is a noun by convention."""
    decorators = {ast.unparse(each) for each in function.decorator_list}
    docstring = ast.get_docstring(function)
    if not docstring or decorators & {"property", "cached_property"}:
        return None
    return docstring.split()[0].strip(".,:;`").lower()


def _is_verb(word: str) -> bool:
    """Return whether a word is an imperative: no known noun, and no plural or participle."""
    inflected = re.search(r"(?<!s)s$|(?<!e)ed$|ing$", word)
    return word.isalpha() and word not in _NO_VERBS.split() and not inflected


def _html_lines(path: Path) -> int:
    """Return the lines of string literals of a module that hold markup or rules of a stylesheet."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    literals = (n for n in ast.walk(tree) if isinstance(n, ast.Constant))
    return sum(
        bool(_HTML.search(line))
        for literal in literals
        if isinstance(literal.value, str)
        for line in literal.value.splitlines()
    )


def _spread(values: list[int]) -> str:
    p90 = values[int(0.9 * (len(values) - 1))]
    return f"{statistics.median(values):g} / {p90} / {values[-1]}"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
