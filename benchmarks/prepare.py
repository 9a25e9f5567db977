"""Compare this pipeline with other ways to prepare the same rows.

Every contestant runs in its own process on a tenth of the rows and on all of them. The difference
between the two is the marginal cost, without imports and set-up. Prints Markdown. Usage:
`python -m benchmarks.prepare`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.arguments import add_lengths, comparison_parser
from benchmarks.figures import describe_machine, figures_table, ratios_table, show_command
from benchmarks.measure import Cost, run_measured
from benchmarks.rounds import FIGURES, RATIOS, Round
from benchmarks.samples import Sample, make_samples
from charseq.cli import exit_status
from charseq.errors import DataError, UsageError
from pipeline.sample import ALPHABET, LABELS

OURS = "charseq"
_VOCABULARY = (f"--alphabet={ALPHABET}", f"--labels={','.join(LABELS)}")
_TWO_WORKERS = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
_MIN_ROWS = 10_000
_PACKAGES = ("apache-beam", "tensorflow", "tensorflow-transform", "tfx-bsl", "pyarrow", "numpy")


@dataclass(frozen=True)
class Contestant:
    """A program with the flags it runs under.

    module: what `python -m` runs, with --input, --output and then `flags`.
    """

    program: str
    module: str
    encoding: str
    workers: int
    flags: tuple[str, ...]

    @property
    def name(self) -> str:
        """Such as charseq_ids, or charseq_ids_2_workers."""
        workers = f"_{self.workers}_workers" if self.workers > 1 else ""
        return f"{self.program}_{self.encoding}{workers}"


def _charseq(encoding: str, *beam_flags: str) -> Contestant:
    flags = (f"--encoding={encoding}", *beam_flags)
    return Contestant(OURS, "pipeline", encoding, 2 if beam_flags else 1, flags)


def _peer(program: str, encoding: str, workers: int, *flags: str) -> Contestant:
    return Contestant(program, f"benchmarks.peers.{program}", encoding, workers, flags)


CONTESTANTS = (
    _charseq("ids"),
    _charseq("ids", *_TWO_WORKERS),
    _charseq("one_hot"),
    _peer("tft_standard", "ids", 1, "--encoding=ids"),
    _peer("tft_standard", "ids", 2, "--encoding=ids", *_TWO_WORKERS),
    _peer("tft_standard", "one_hot", 1, "--encoding=one_hot"),
    _peer("beam_per_row", "ids", 1, *_VOCABULARY),
    _peer("no_engine", "ids", 1, "--encoding=ids", *_VOCABULARY),
    _peer("no_engine", "one_hot", 1, "--encoding=one_hot", *_VOCABULARY),
)


def warm_file_cache() -> None:
    """Import once what every contestant imports, or the first would read it from the disk."""
    subprocess.run(
        [sys.executable, "-c", "import tensorflow_transform.beam"],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def run_contestant(contestant: Contestant, sample: Sample, scratch: Path) -> Cost:
    """Run once in `scratch`, which is empty again afterwards.

    Raises:
        DataError: it failed, or did not write the records it should have.
    """
    output, temporary = scratch / "output", scratch / "temporary"
    output.mkdir()
    temporary.mkdir()
    command = [
        *(sys.executable, "-m", contestant.module),
        *(f"--input={sample.path}", f"--output={output}", *contestant.flags),
    ]
    # Nobody should pay for the writing back of what the run before left in the cache.
    os.sync()
    cost = run_measured(
        command, {**os.environ, "TMPDIR": str(temporary), "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    _require_records(contestant, output, sample.rows)
    shutil.rmtree(output)
    shutil.rmtree(temporary)
    return cost


def _require_records(contestant: Contestant, output: Path, rows: int) -> None:
    expected = rows
    if contestant.program == OURS:
        expected -= json.loads((output / "dataset.json").read_text())["counts"]["duplicates"]
    found = sum(count_records(path) for path in output.rglob("*.tfrecord"))
    if found != expected:
        raise DataError(f"{contestant.name}: {found} records written, expected {expected}")


def count_records(path: Path) -> int:
    """Records in a TFRecord file: a size of 8 bytes, its CRC, the data and their CRC each."""
    records = 0
    with path.open("rb") as file:
        while size := file.read(8):
            file.seek(struct.unpack("<Q", size)[0] + 8, os.SEEK_CUR)
            records += 1
    return records


def compare(
    contestants: Sequence[Contestant], rows: int, lengths: str, repeats: int
) -> dict[Contestant, list[Round]]:
    """Run all contestants, one after the other, `repeats` times over."""
    rounds: dict[Contestant, list[Round]] = {contestant: [] for contestant in contestants}
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as directory:
        small, whole = make_samples(Path(directory), rows, lengths)
        scratch = Path(directory, "scratch")
        scratch.mkdir()
        warm_file_cache()
        for repeat in range(1, repeats + 1):
            for contestant in contestants:
                costs = [run_contestant(contestant, sample, scratch) for sample in (small, whole)]
                rounds[contestant].append(Round(costs[0], costs[1], small.rows, whole.rows))
                print(
                    f"{repeat}/{repeats} {contestant.name}: "
                    f"{costs[0].wall:.1f} s for {small.rows:,} rows, "
                    f"{costs[1].wall:.1f} s for {whole.rows:,}",
                    file=sys.stderr,
                )
    return rounds


def are_compared(one: Contestant, other: Contestant) -> bool:
    """Whether the ratio of `one` to `other` says something: us to a peer, two workers to one."""
    if one.encoding != other.encoding:
        return False
    if one.program == other.program:
        return one.workers > other.workers
    return one.program == OURS


def _compare(argv: Sequence[str] | None) -> None:
    arguments = _parser().parse_args(argv)
    if arguments.rows < _MIN_ROWS or arguments.repeats < 1:
        raise UsageError(f"--rows takes {_MIN_ROWS} or more, --repeats 1 or more")
    chosen = [one for one in CONTESTANTS if not arguments.only or one.name in arguments.only]
    machine = describe_machine(_PACKAGES)
    rounds = compare(chosen, arguments.rows, arguments.lengths, arguments.repeats)
    pairs = [(a.name, b.name) for a in chosen for b in chosen if are_compared(a, b)]
    named = {one.name: rounds[one] for one in chosen}
    command = show_command("benchmarks.prepare", argv)
    print(
        f"`{command}`: {arguments.rows:,} rows of {arguments.lengths} lengths, medians of "
        f"{arguments.repeats}.\n{machine}\n"
    )
    print(figures_table(named, FIGURES))
    print()
    print(ratios_table(pairs, named, RATIOS))


def _parser() -> argparse.ArgumentParser:
    parser = comparison_parser(
        "prepare",
        "Time this pipeline and its peers on the same rows; print Markdown.",
        rows=1_085_420,
        contestants=[contestant.name for contestant in CONTESTANTS],
    )
    add_lengths(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Compare as the command line says; return the exit status."""
    return exit_status(lambda: _compare(argv))


if __name__ == "__main__":
    sys.exit(main())
