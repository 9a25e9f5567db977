"""Time and memory of a preparation with --similar, beside the same one without."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Figure, figures_table, ratios_table
from benchmarks.measure import Cost, run_measured
from benchmarks.prepare import warm_file_cache
from benchmarks.samples import make_sample
from benchmarks.similar.leak import GROUP, QUIET, WAYS

PLAIN = "plain"
_FLAGS: Mapping[str, Sequence[str]] = {PLAIN: (), GROUP: WAYS[GROUP]}
FIGURES: Mapping[str, tuple[Figure[Cost], str]] = {
    "s": (lambda cost: cost.wall, ",.1f"),
    "CPU s": (lambda cost: cost.cpu, ",.1f"),
    "peak MB": (lambda cost: cost.peak / 1e6, ",.0f"),
}


def compare(rows: int, repeats: int) -> dict[str, list[Cost]]:
    """Prepare a sample of so many rows without and with --similar, alternating."""
    costs: dict[str, list[Cost]] = {way: [] for way in _FLAGS}
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as scratch:
        sample = make_sample(Path(scratch), rows, "mixed")
        warm_file_cache()
        for repeat in range(1, repeats + 1):
            for way in _FLAGS:
                costs[way].append(run_pipeline(sample.path, way))
                print(
                    f"{repeat}/{repeats} {rows:,} rows, {way}: {costs[way][-1].wall:.1f} s",
                    file=sys.stderr,
                )
    return costs


def run_pipeline(path: Path, way: str) -> Cost:
    """Prepare a file, `PLAIN` or with `GROUP`."""
    # Nobody should pay for the writing back of what the run before left in the cache.
    os.sync()
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as output:
        command = [sys.executable, "-m", "pipeline", f"--input={path}", f"--output={output}/out"]
        return run_measured([*command, *_FLAGS[way]], {**os.environ, **QUIET})


def cost_tables(costs: Mapping[str, Sequence[Cost]]) -> str:
    """Two tables: medians, and the ratio of both, paired by round."""
    ratios = {heading: figure for heading, (figure, _) in FIGURES.items()}
    return "\n\n".join(
        (figures_table(costs, FIGURES), ratios_table([(GROUP, PLAIN)], costs, ratios))
    )
