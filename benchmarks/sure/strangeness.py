"""Strangeness: are texts of another kind told from test rows?"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import charseq
from benchmarks.figures import table
from benchmarks.quality.rows import Row, read_rows
from benchmarks.quality.tasks import TASKS
from benchmarks.trained import first_by_hash, train_on

_MOST_ROWS = 5_000
_DOMAINS = {"names": ("amp", "hosts", "ten"), "amp": ("names", "hosts"), "ten": ("hosts", "amp")}
_HOST = re.compile(r"https?://([a-z0-9.-]+\.[a-z]{2,})", re.IGNORECASE)

Floats = npt.NDArray[np.floating]


def strangeness_tables(root: Path) -> str:
    """Return both tables: of other domains, and of languages that were left out."""
    domains = [cells for name, others in _DOMAINS.items() for cells in _domains(name, others, root)]
    heads = ["trained on", "texts of", "by strangeness", "by the highest probability"]
    languages = sorted(
        {row.label for row in read_rows(TASKS["ten"].directory(root, 0) / "test.tsv")}
    )
    left_out = [_left_out(language, root) for language in languages]
    means = np.mean([areas for _, *areas in left_out], axis=0)
    rows = [[name, *map(_show, areas)] for name, *areas in [*left_out, ("mean", *means)]]
    return "\n\n".join([table(heads, domains), table(["left out", *heads[2:]], rows)])


def area_under_curve(usual: Floats, strange: Floats) -> float:
    """Return how probably a strange row has a higher score than a usual one; of equal ones half."""
    ordered = np.sort(usual)
    below = np.searchsorted(ordered, strange) + np.searchsorted(ordered, strange, side="right")
    return float(below.mean() / 2 / len(usual))


def host_names() -> list[str]:
    """Return the host names in the copyright files of Debian's packages, and those of Python's."""
    files = [*Path("/usr/share/doc").glob("*/copyright")]
    files += [path for place in sys.path for path in Path(place).glob("*.dist-info/METADATA")]
    texts = (path.read_text(encoding="utf-8", errors="ignore") for path in files if path.is_file())
    return sorted({found.lower() for text in texts for found in _HOST.findall(text)})


def _domains(name: str, others: Sequence[str], root: Path) -> list[list[str]]:
    scores = _scores_of_model(name, root, lambda _: True)
    usual = scores([row.sequence for row in _test_rows(name, root)])
    cells = []
    for other in others:
        texts = host_names()
        if other != "hosts":
            texts = [row.sequence for row in _test_rows(other, root)]
        areas = [area_under_curve(a, b) for a, b in zip(usual, scores(texts), strict=True)]
        title = TASKS[other].title if other in TASKS else "host names"
        cells.append([TASKS[name].title, title, *map(_show, areas)])
    return cells


def _left_out(language: str, root: Path) -> tuple[str, float, float]:
    scores = _scores_of_model("ten", root, lambda row: row.label != language)
    rows = _test_rows("ten", root)
    usual = scores([row.sequence for row in rows if row.label != language])
    strange = scores([row.sequence for row in rows if row.label == language])
    by_strangeness, by_probability = map(area_under_curve, usual, strange)
    return language, by_strangeness, by_probability


def _scores_of_model(
    name: str, root: Path, keep: Callable[[Row], bool]
) -> Callable[[Sequence[str]], tuple[Floats, Floats]]:
    """Return a function from texts to their strangeness, and to 1 - the highest probability."""
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as scratch:
        model = charseq.load_model(train_on(name, 0, root, Path(scratch), keep=keep))
    print(f"{name}: trained", file=sys.stderr, flush=True)

    def scores(texts: Sequence[str]) -> tuple[Floats, Floats]:
        predictions = model.predict(texts)
        assert predictions.strangeness is not None
        return predictions.strangeness, 1 - predictions.probability

    return scores


def _test_rows(name: str, root: Path) -> list[Row]:
    return first_by_hash(TASKS[name].directory(root, 0) / "test.tsv", _MOST_ROWS)


def _show(area: float) -> str:
    return f"{area:.3f}"
