"""python -m pipeline.inspect: print the counts of a dataset, and records turned back into text."""

from __future__ import annotations

from charseq.process.signals import watch_signals

if __name__ == "__main__":
    watch_signals()  # Before the other imports, which take a moment.

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice

from charseq.cli import exit_status, heavy_imports
from charseq.console.terminal import escape_terminal
from charseq.flags import flag, make_parser, parse_known, require, validate
from charseq.folds import records_of_parts
from charseq.manifest import Manifest
from charseq.models.saved_model import TRUST_MODEL_HELP

_SHOWN_LABELS = 20


@dataclass(frozen=True)
class InspectOptions:
    """The dataset, and which of its records to print.

    Raises:
        UsageError: a value is outside the limits of its flag.
    """

    dataset: str = flag(
        "dataset directory, also s3:// or gs://", metavar="DIR", is_path=True, positional=True
    )
    split: str | None = flag(
        "split of the records, or fold, as fold-0 (default: the first one)",
        default=None,
        metavar="SPLIT",
    )
    label: str | None = flag(
        "print records of this label only",
        default=None,
        metavar="LABEL",
        not_with=("leak", "which is of all labels"),
    )
    count: int = flag("number of records", default=5, metavar="N", minimum=0)
    verify: bool = flag(
        "read all files and check them against the manifest instead; exit status 1, with the "
        "file and the record, if anything is wrong",
        default=False,
    )
    leak: float | None = flag(
        "measure instead how many rows of test, or of --split, have a train row of this identity "
        "or more: 1 - edit distance / length of the longer sequence",
        default=None,
        metavar="IDENTITY",
        above=0,
        maximum=1,
        not_with=("verify", "they are done one after the other"),
    )
    trust_model: bool = flag(TRUST_MODEL_HELP, default=False, only_with="verify")

    def __post_init__(self) -> None:
        validate(self)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the counts and some records of a dataset; return the exit status."""
    return exit_status(lambda: _inspect(argv))


def parse_command_line(argv: Sequence[str] | None) -> tuple[InspectOptions, list[str]]:
    """Return the options, and the flags to pass to Beam.

    Raises:
        UsageError, SystemExit: as `charseq.flags.parse`.
    """
    parser = make_parser(
        InspectOptions,
        prog="python -m pipeline.inspect",
        description="Print the counts of a dataset and some of its records as text.",
        epilog="Every other flag is passed to Apache Beam, for example --s3_endpoint_url=URL.",
    )
    return parse_known(InspectOptions, parser, argv)


def _inspect(argv: Sequence[str] | None) -> None:
    options, beam_flags = parse_command_line(argv)
    _set_up(options, beam_flags)
    if options.verify:
        _verify(options)
    elif options.leak is not None:
        _measure_leak(options, options.leak)
    else:
        _print_dataset(options)


def _set_up(options: InspectOptions, beam_flags: Sequence[str]) -> None:
    """Configure Beam's file systems, and check that they reach the dataset."""
    with heavy_imports():
        from pipeline.runtime.beam_options import to_beam_options
        from pipeline.runtime.filesystems import check_store
        from pipeline.runtime.process import configure_process, silence_error_logs

    configure_process()
    to_beam_options(beam_flags)
    silence_error_logs(local=True)
    check_store(options.dataset)


def _verify(options: InspectOptions) -> None:
    with heavy_imports():
        from pipeline.verification.verify import verify
    records = verify(options.dataset, options.trust_model)
    print(f"{options.dataset}: {records:,} records and all files are as the manifest says")


def _measure_leak(options: InspectOptions, threshold: float) -> None:
    with heavy_imports():
        from pipeline.manifests.read import read_manifest
        from pipeline.verification.leak import describe_leak, measure_leak
    manifest = read_manifest(options.dataset)
    names = list(records_of_parts(manifest))
    split = options.split
    if split is None:
        split = manifest.split_to_measure if "test" in names else names[0]
    others = [name for name in names if name != "train"]
    require(split in others, "--split", split, f"one of {', '.join(others)}")
    print(describe_leak(measure_leak(options.dataset, manifest, split), split, threshold))


def _print_dataset(options: InspectOptions) -> None:
    with heavy_imports():
        from pipeline.manifests.read import read_manifest
        from pipeline.verification.records import read_records
    manifest = read_manifest(options.dataset)
    if options.label is not None:
        expected = f"one of {', '.join(manifest.labels[:_SHOWN_LABELS])}"
        require(options.label in manifest.labels, "--label", options.label, expected)
    names = list(records_of_parts(manifest))
    split = names[0] if options.split is None else options.split
    require(split in names, "--split", split, f"one of {', '.join(names)}")
    print(summary_table(manifest))
    print(f"\n{split}:")
    records = read_records(options.dataset, manifest, split, options.label)
    for record in islice(records, options.count):
        sequence, label = escape_terminal(record.sequence), escape_terminal(record.label)
        weight = "" if record.weight is None else f"  {record.weight:g}"
        print(f"  {sequence:<{manifest.max_length}}  {record.length:>4}  {label}{weight}")


def summary_table(manifest: Manifest) -> str:
    """Return the counts of a dataset, one per line, and what is needed to read it."""
    rows: dict[str, int] = {}
    for name, count in asdict(manifest.counts).items():
        if name == "rejected_by_reason":
            rows |= {f"  {reason}": rejected for reason, rejected in count.items()}
        elif name == "leaks":
            rows |= {f"sequences in {splits}": n for splits, n in (count or {}).items()}
        elif name == "normalized":
            for column, by_step in (count or {}).items():
                rows |= {f"{column} changed by {step}": n for step, n in by_step.items()}
        else:
            rows[name] = count
    lines = [f"{name:<24}{count:>14,}" for name, count in rows.items()]
    lines += [
        f"{'encoding':<24}{manifest.encoding:>14}",
        f"{'alphabet':<24}{''.join(manifest.alphabet)!r}",
        f"{'labels':<24}{', '.join(manifest.labels[:_SHOWN_LABELS])}",
        f"{'fingerprint':<24}{manifest.fingerprint}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
