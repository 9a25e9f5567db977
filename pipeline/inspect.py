"""python -m pipeline.inspect: what a dataset holds, and records turned back into text."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from charseq.cli import exit_status, heavy_imports
from charseq.flags import flag, make_parser, parse_known, require, validate
from charseq.manifest import SPLITS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tensorflow as tf

    from pipeline.dataset.manifest import Manifest

_UNKNOWN = "�"
_MANY = 20


@dataclass(frozen=True)
class InspectOptions:
    """The dataset, and which of its records to print.

    Raises:
        UsageError: a value is outside the limits of its flag.
    """

    dataset: str = flag("dataset directory, also s3:// or gs://", metavar="DIR", positional=True)
    split: str = flag("split of the records", default="train", choices=SPLITS)
    label: str | None = flag("print records of this label only", default=None, metavar="LABEL")
    count: int = flag("number of records", default=5, metavar="N", minimum=0)
    verify: bool = flag(
        "read all files and check them against the manifest instead; exit status 1, with the "
        "file and the record, if anything is wrong",
        default=False,
    )

    def __post_init__(self) -> None:
        validate(self)


class Record(NamedTuple):
    """A record as text: a character outside the alphabet is shown as U+FFFD."""

    sequence: str
    length: int
    label: str


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
    with heavy_imports():
        from pipeline.dataset.manifest import read_manifest
        from pipeline.runtime.beam_options import to_beam_options
        from pipeline.runtime.filesystems import check_store
        from pipeline.runtime.process import configure_process, silence_error_logs

    configure_process()
    to_beam_options(beam_flags)
    silence_error_logs(local=True)
    check_store(options.dataset)
    if options.verify:
        with heavy_imports():
            from pipeline.verify import verify
        verified = verify(options.dataset)
        print(f"{options.dataset}: {verified:,} records and all files are as the manifest says")
        return
    manifest = read_manifest(options.dataset)
    if options.label is not None:
        labels = manifest["labels"]
        expected = f"one of {', '.join(labels[:_MANY])}"
        require(options.label in labels, "--label", options.label, expected)
    print(summary_table(manifest))
    print(f"\n{options.split}:")
    records = read_records(options.dataset, manifest, options.split, options.label)
    for record in islice(records, options.count):
        print(f"  {record.sequence:<{manifest['max_length']}}  {record.length:>4}  {record.label}")


def summary_table(manifest: Manifest) -> str:
    """The counts of a dataset, a line each."""
    counts = manifest["counts"]
    rows = [(name, counts[name]) for name in ("read", *SPLITS, "duplicates", "rejected")]
    rows += [(f"  {reason}", n) for reason, n in counts["rejected_by_reason"].items()]
    rows += [(name, counts[name]) for name in ("truncated", "ambiguous", "unknown_characters")]
    lines = [f"{name:<24}{count:>14,}" for name, count in rows]
    lines += [
        f"{'encoding':<24}{manifest['encoding']:>14}",
        f"{'alphabet':<24}{''.join(manifest['alphabet'])!r}",
        f"{'labels':<24}{', '.join(manifest['labels'][:_MANY])}",
        f"{'fingerprint':<24}{manifest['fingerprint']}",
    ]
    return "\n".join(lines)


def read_records(
    dataset: str, manifest: Manifest, split: str, label: str | None = None
) -> Iterator[Record]:
    """The records of a split (of `label` only, if given) as text, in the order they are stored."""
    import tensorflow as tf

    spec = {
        name: tf.io.FixedLenFeature(feature["shape"], feature["dtype"])
        for name, feature in manifest["feature_spec"].items()
    }
    for batch in _read_batches(dataset, manifest, split):
        parsed = tf.io.parse_example(batch, spec)
        ids = _to_ids(parsed["sequence"].numpy())
        lengths, labels = parsed["length"].numpy(), parsed["label"].numpy()
        for row, length, number in zip(ids, lengths.tolist(), labels.tolist(), strict=True):
            name = manifest["labels"][number]
            if label in (None, name):
                yield Record(to_text(row[:length].tolist(), manifest["alphabet"]), length, name)


def _read_batches(dataset: str, manifest: Manifest, split: str) -> Iterator[tf.Tensor]:
    """Serialized records, (batch,) string."""
    import tensorflow as tf
    from apache_beam.io.filesystems import FileSystems

    from pipeline.runtime.filesystems import local_file

    compression = "GZIP" if manifest["compression"] == "gzip" else ""
    for shard in manifest["shards"]:
        if shard["split"] == split:
            with local_file(FileSystems.join(dataset, *shard["path"].split("/"))) as path:
                yield from tf.data.TFRecordDataset(path, compression).batch(256)


def _to_ids(sequence: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Ids of either encoding; one-hot can't tell unknown from padding, both become 0."""
    if sequence.ndim == 2:
        return sequence.astype("int64")
    return (sequence.argmax(axis=2) + 1) * (sequence.max(axis=2) > 0)  # type: ignore[no-any-return]


def to_text(ids: Sequence[int], alphabet: Sequence[str]) -> str:
    """The characters of ids that are not behind the end of the sequence."""
    return "".join(alphabet[i - 1] if 0 < i <= len(alphabet) else _UNKNOWN for i in ids)


if __name__ == "__main__":
    sys.exit(main())
