"""The datasets of --base: read, put in order, and checked to be what rows can be added to."""

from __future__ import annotations

from collections.abc import Sequence

from charseq.chain import Named, order_chain
from charseq.errors import DataError
from charseq.manifest import INDEX_DIR
from pipeline.base import Base
from pipeline.manifests.read import read_manifest

# Options of a dataset with which no rows can be added to it, and why.
_REFUSED = {
    "folds": "the parts would no longer be of equal size",
    "similar": "it keeps no sequences that new ones could be compared with",
    "train_input": "its splits are given",
    "split_column": "its splits are given",
    "time_column": "its splits are given",
    "weight_column": "the weights of duplicates could not be added to records that are written",
}


def read_base(directories: Sequence[str]) -> Base:
    """Return the datasets in some directories, in the order in which they add to each other.

    Raises:
        DataError: one cannot be read, they are not of one chain, or no rows can be added to them.
    """
    members = [Named(directory, read_manifest(directory)) for directory in directories]
    for member in members:
        _check_options(member)
    base = Base(tuple(members[number] for number in order_chain(members)))
    for member in members:
        if not any(file.path.startswith(f"{INDEX_DIR}/") for file in member.manifest.files):
            raise DataError(
                f"--base {member.directory}: prepared by a version that kept no index of its rows; "
                "prepare it again"
            )
    return base


def _check_options(member: Named) -> None:
    options = member.manifest.options
    reasons = {name: reason for name, reason in _REFUSED.items() if options.get(name)}
    if options.get("min_label_rows", 1) > 1:
        reasons["min_label_rows"] = "rows of rare labels were left out, and new ones cannot join"
    for name, reason in reasons.items():
        raise DataError(
            f"--base {member.directory}: prepared with --{name.replace('_', '-')}, and then no "
            f"rows can be added: {reason}"
        )
