"""Compare batch prediction with RunInference and with the forward pass alone.

Every contestant runs in its own process on a tenth of the rows and on all of them. The difference
between the two is the marginal cost, without imports and set-up. Prints Markdown. Usage:
`python -m benchmarks.predict`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.arguments import comparison_parser
from benchmarks.figures import describe_machine, figures_table, ratios_table, show_command
from benchmarks.measure import Cost, run_measured
from benchmarks.rounds import FIGURES, RATIOS, Round
from benchmarks.samples import Sample, make_samples
from charseq.cli import exit_status
from charseq.errors import DataError, UsageError

_MIN_ROWS = 10_000
_PACKAGES = ("apache-beam", "tensorflow", "pyarrow", "numpy")
_FORWARD = "benchmarks.peers.forward_alone"


@dataclass(frozen=True)
class Contestant:
    """A program that predicts.

    module: what `python -m` runs, with --model, --input, --output and then `flags`.
    """

    name: str
    module: str
    flags: tuple[str, ...] = ()


def _forward(batch: int, threads: int) -> Contestant:
    flags = (f"--batch={batch}", f"--threads={threads}")
    return Contestant(f"forward_alone_{batch}_{threads}", _FORWARD, flags)


CONTESTANTS = (
    Contestant("charseq", "pipeline.predict"),
    Contestant(
        "charseq_2_workers",
        "pipeline.predict",
        ("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
    ),
    Contestant("charseq_texts", "benchmarks.peers.predict_texts"),
    Contestant("run_inference", "benchmarks.peers.run_inference"),
    _forward(512, 1),
    _forward(512, 2),
    _forward(512, 3),
    _forward(2048, 2),
)


def run_contestant(contestant: Contestant, model: str, sample: Sample, scratch: Path) -> Cost:
    """Run once in `scratch`, which is empty again afterwards.

    Raises:
        DataError: it failed, or did not write the predictions it should have.
    """
    output, temporary = scratch / "output", scratch / "temporary"
    output.mkdir()
    temporary.mkdir()
    command = [
        *(sys.executable, "-m", contestant.module, f"--model={model}"),
        *(f"--input={sample.path}", f"--output={output}", *contestant.flags),
    ]
    # Nobody should pay for the writing back of what the run before left in the cache.
    os.sync()
    cost = run_measured(
        command, {**os.environ, "TMPDIR": str(temporary), "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    found = sum(path.read_bytes().count(b"\n") for path in output.rglob("*.jsonl"))
    if found != sample.rows and contestant.module != _FORWARD:
        raise DataError(f"{contestant.name}: {found} rows written, expected {sample.rows}")
    shutil.rmtree(output)
    shutil.rmtree(temporary)
    return cost


def compare(
    contestants: Sequence[Contestant], model: str, rows: int, repeats: int
) -> dict[str, list[Round]]:
    """Run all contestants, one after the other, `repeats` times over; give their rounds by name."""
    rounds: dict[str, list[Round]] = {one.name: [] for one in contestants}
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as directory:
        small, whole = make_samples(Path(directory), rows, "mixed")
        scratch = Path(directory, "scratch")
        scratch.mkdir()
        for repeat in range(1, repeats + 1):
            for one in contestants:
                costs = [run_contestant(one, model, sample, scratch) for sample in (small, whole)]
                rounds[one.name].append(Round(costs[0], costs[1], small.rows, whole.rows))
                print(
                    f"{repeat}/{repeats} {one.name}: {costs[0].wall:.1f} s for {small.rows:,} "
                    f"rows, {costs[1].wall:.1f} s for {whole.rows:,}",
                    file=sys.stderr,
                )
    return rounds


def _compare(argv: Sequence[str] | None) -> None:
    arguments = _parser().parse_args(argv)
    if arguments.rows < _MIN_ROWS or arguments.repeats < 1:
        raise UsageError(f"--rows takes {_MIN_ROWS} or more, --repeats 1 or more")
    chosen = [one for one in CONTESTANTS if not arguments.only or one.name in arguments.only]
    machine = describe_machine(_PACKAGES)
    rounds = compare(chosen, arguments.model, arguments.rows, arguments.repeats)
    print(
        f"`{show_command('benchmarks.predict', argv)}`: {arguments.rows:,} rows, medians of "
        f"{arguments.repeats}.\n{machine}\n\n{figures_table(rounds, FIGURES)}"
    )
    names = [one.name for one in chosen]
    if "charseq" in names:
        pairs = [("charseq", name) for name in names if name != "charseq"]
        print(f"\n{ratios_table(pairs, rounds, RATIOS)}")


def _parser() -> argparse.ArgumentParser:
    parser = comparison_parser(
        "predict",
        "Time batch prediction and its peers on the same rows; print Markdown.",
        rows=400_000,
        contestants=[contestant.name for contestant in CONTESTANTS],
    )
    parser.add_argument(
        "--model", required=True, metavar="DIR", help="the SavedModel, as for pipeline.predict"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Compare as the command line says; return the exit status."""
    return exit_status(lambda: _compare(argv))


if __name__ == "__main__":
    sys.exit(main())
