"""The datasets of --base: read, put in order, and checked to be what rows can be added to."""

from __future__ import annotations

from collections.abc import Sequence

from charseq.chain import Named, order_chain
from charseq.errors import DataError
from charseq.flags import flag_name
from charseq.manifest import INDEX_DIR
from pipeline.base import REFUSED, Base
from pipeline.manifests.read import read_manifest


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
    # Of --min-label-rows, 1 leaves no label out.
    used = {**options, "min_label_rows": options.get("min_label_rows", 1) > 1}
    for name, reason in REFUSED.items():
        if used.get(name):
            raise DataError(
                f"--base {member.directory}: prepared with {flag_name(name)}, and then no rows "
                f"can be added: {reason}"
            )
