"""charseq ask: sequences on the command line or standard input, an answer a line."""

from __future__ import annotations

from charseq.process.signals import watch_signals

if __name__ == "__main__":
    watch_signals()  # Before the other imports, which take a moment.

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TextIO

from charseq.ask.answers import REASONS, Asked, Rejected, Wanted
from charseq.ask.reading import read_batches
from charseq.ask.rendering import Layout, Marks, choose_marks, fit_labels, to_json, to_lines
from charseq.cli import exit_status, heavy_imports
from charseq.console.terminal import unescaped
from charseq.errors import DataError, MismatchError, UsageError
from charseq.flags import flag, make_parser, parse, parse_boolean, validate
from charseq.manifest import parse_manifest
from charseq.models.locate import locate_model
from charseq.models.saved_model import DATASET_ASSET, TRUST_MODEL_HELP

_STANDARD_INPUT = "-"
_DEFAULT_COVERAGE = 0.95


@dataclass(frozen=True)
class AskOptions:
    """The sequences and the model.

    Raises:
        UsageError: a value is not within the limits of its flag, or - is not alone.
    """

    sequence: tuple[str, ...] = flag(
        "sequence to label, or - for those on standard input, a line each",
        metavar="SEQUENCE",
        positional=True,
    )
    model: str = flag(
        "a run, a registry (its current version) or a SavedModel", metavar="DIR", is_path=True
    )
    json: bool = flag("print a JSON object for each sequence", default=False)
    influence: bool | None = flag(
        "how much each character speaks for the label (default: true on a terminal)",
        default=None,
        parse=parse_boolean,
        const=True,
        metavar="true|false",
    )
    coverage: float | None = flag(
        "also the set of labels that has the true one with this probability, if the model knows "
        f"it (default: {_DEFAULT_COVERAGE} on a terminal)",
        default=None,
        metavar="P",
        above=0,
        maximum=1,
    )
    trust_model: bool = flag(TRUST_MODEL_HELP, default=False)

    def __post_init__(self) -> None:
        validate(self)
        if _STANDARD_INPUT in self.sequence and len(self.sequence) > 1:
            raise UsageError("-: stands for standard input, without other sequences")

    def batches(self) -> Iterator[list[bytes]]:
        """Yield the sequences, one batch after another.

        Raises:
            UsageError: they are to come from standard input, which is closed.
        """
        if self.sequence == (_STANDARD_INPUT,):
            if sys.stdin is None:
                raise UsageError("-: standard input is closed, expected a sequence a line")
            if sys.stdin.isatty():
                print("A sequence a line; Ctrl-D ends.", file=sys.stderr)
            return read_batches(sys.stdin.fileno())
        return iter([[os.fsencode(sequence) for sequence in self.sequence]])


def main(argv: Sequence[str] | None = None) -> int:
    """Answer as the command line says; return the exit status."""
    return exit_status(lambda: _ask(argv))


def _parse(argv: Sequence[str] | None) -> AskOptions:
    parser = make_parser(
        AskOptions,
        prog="python -m charseq.ask",
        description="Ask an exported model: a line for each sequence, with its label, the label's "
        "probability and the characters that speak for it (green) and against it (red).",
        epilog="Exit status: 0 done, 1 the model cannot be used, 2 the command line is wrong, 3 a "
        "sequence had no answer, because it is blank or not UTF-8, 130 ended by SIGINT, 143 by "
        "SIGTERM.",
    )
    return parse(AskOptions, parser, argv)


def _ask(argv: Sequence[str] | None) -> None:
    options = _parse(argv)
    if sys.__stdout__ is None:
        raise DataError("standard output is closed: there is nowhere to answer")
    directory = locate_model(options.model).directory
    if not find_spec("tensorflow"):
        raise DataError("charseq ask needs TensorFlow: pip install 'charseq[trainer]'")
    path = os.path.join(directory, DATASET_ASSET)
    with open(path, "rb") as file:
        manifest = parse_manifest(file.read(), path)
    with heavy_imports():
        asked = Asked(directory, manifest, options.trust_model)
    out = unescaped(sys.stdout)
    is_terminal = out.isatty()
    wanted = _choose(options, asked, is_terminal)
    marks = choose_marks(is_terminal, os.environ) if wanted.influence else Marks.NONE
    columns = shutil.get_terminal_size().columns if is_terminal else None
    layout = Layout(fit_labels(manifest.labels), marks, columns)
    _answer_all(options, asked, wanted, layout, out)


def _choose(options: AskOptions, asked: Asked, is_terminal: bool) -> Wanted:
    """Return what answers have, by the flags, or by what the model can say on a terminal.

    Raises:
        DataError: a flag asks for what the model cannot say.
    """
    for flag_given, can, name in (
        (options.influence, asked.explains, "--influence"),
        (options.coverage is not None, asked.has_sets, "--coverage"),
    ):
        if flag_given and not can:
            raise DataError(
                f"{name}: the model of {options.model} was exported by an earlier version, which "
                "could not say this; train it again"
            )
    influence, coverage = options.influence, options.coverage
    if influence is None:
        influence = is_terminal and asked.explains
    if coverage is None and is_terminal and asked.has_sets:
        coverage = _DEFAULT_COVERAGE
    return Wanted(influence, coverage)


def _answer_all(
    options: AskOptions, asked: Asked, wanted: Wanted, layout: Layout, out: TextIO
) -> None:
    """Write a line for each sequence, a batch at a time.

    Raises:
        MismatchError: at the end, if a sequence was rejected.
    """
    total, rejected = 0, 0
    first: tuple[int, Rejected] | None = None
    for rows in options.batches():
        answers = asked.answer(rows, wanted)
        lines = map(to_json, answers) if options.json else to_lines(answers, layout)
        _write_lines(out, lines)
        for number, answer in enumerate(answers, start=total + 1):
            if isinstance(answer, Rejected):
                rejected += 1
                first = first or (number, answer)
        total += len(answers)
    if first:
        number, answer = first
        raise MismatchError(
            f"{rejected:,} of {total:,} sequences have no answer, first number {number:,}: "
            f"{REASONS[answer.reason]}"
        )


def _write_lines(out: TextIO, lines: Iterable[str]) -> None:
    """Write lines at once, escaped as the encoding of a stream needs it."""
    encoding = out.encoding or "utf-8"
    text = "".join(f"{line}\n" for line in lines)
    out.write(text.encode(encoding, "backslashreplace").decode(encoding))
    out.flush()


if __name__ == "__main__":
    sys.exit(main())
