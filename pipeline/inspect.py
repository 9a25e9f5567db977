"""python -m pipeline.inspect: what a dataset holds, and records turned back into text."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from charseq.cli import exit_status, heavy_imports
from charseq.errors import UsageError
from pipeline.options import SPLITS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tensorflow as tf

    from pipeline.dataset.manifest import Manifest

_UNKNOWN = "�"
_MANY = 20


class Record(NamedTuple):
    """A record as text: a character outside the alphabet is shown as U+FFFD."""

    sequence: str
    length: int
    label: str


def main(argv: Sequence[str] | None = None) -> int:
    """Print the counts and some records of a dataset; return the exit status."""
    return exit_status(lambda: _inspect(argv))


def _inspect(argv: Sequence[str] | None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.inspect",
        allow_abbrev=False,
        description=__doc__,
        epilog="Every other flag goes to Apache Beam as it is, for example --s3_endpoint_url=URL.",
    )
    parser.add_argument("dataset", help="dataset directory, also s3:// or gs://", metavar="DIR")
    parser.add_argument("--split", choices=SPLITS, default="train", help="(default: train)")
    parser.add_argument("--label", help="records of this label only", metavar="LABEL")
    parser.add_argument("--count", type=int, default=5, metavar="N", help="records (default: 5)")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read everything again and check it against the manifest instead; exit status 1, "
        "with the file and the record, if anything is wrong",
    )
    args, beam_flags = parser.parse_known_args(argv)
    if args.count < 0:
        raise UsageError(f"--count: got {args.count}, expected 0 or more")
    with heavy_imports():
        from pipeline.dataset.manifest import read_manifest
        from pipeline.runtime.beam_options import to_beam_options
        from pipeline.runtime.filesystems import check_store
        from pipeline.runtime.process import configure_process, silence_error_logs

    configure_process()
    to_beam_options(beam_flags)
    silence_error_logs(local=True)
    check_store(args.dataset)
    if args.verify:
        with heavy_imports():
            from pipeline.verify import verify
        verified = verify(args.dataset)
        print(f"{args.dataset}: {verified:,} records and all files are as the manifest says")
        return
    manifest = read_manifest(args.dataset)
    if args.label is not None and args.label not in manifest["labels"]:
        raise UsageError(
            f"--label: got {args.label!r}, expected one of {', '.join(manifest['labels'][:_MANY])}"
        )
    print(summary_table(manifest))
    print(f"\n{args.split}:")
    records = read_records(args.dataset, manifest, args.split, args.label)
    for record in islice(records, args.count):
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
