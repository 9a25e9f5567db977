"""What new rows are added to: a chain of datasets, each of which adds rows to those before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charseq.chain import Named
from charseq.manifest import Manifest

# A dataset that adds rows has these options of its base.
BASE_OPTIONS = (
    *("normalize", "lowercase", "strip", "encoding", "max_length", "alphabet", "alphabet_size"),
    *("too_long", "split", "compression", "seed"),
)
# Options with which no rows can be added, and why.
REFUSED = {
    "folds": "the parts would no longer be of equal size",
    "similar": "it keeps no sequences that new ones could be compared with",
    "train_input": "its splits are given",
    "split_column": "its splits are given",
    "time_column": "its splits are given",
    "weight_column": "the weights of duplicates could not be added to records that are written",
    "min_label_rows": "rows of rare labels were left out, and new ones cannot join",
}


@dataclass(frozen=True)
class Base:
    """The datasets of a chain, the first one first, each of which adds rows to those before."""

    members: tuple[Named, ...]

    @property
    def first(self) -> Manifest:
        """The manifest of the dataset that adds to no other: its splits are those of all."""
        return self.members[0].manifest

    @property
    def last(self) -> Named:
        """The dataset whose labels and transform graph are those of all."""
        return self.members[-1]

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in id order."""
        return self.last.manifest.labels

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Those of the members, see `Manifest.base`."""
        return tuple(member.manifest.fingerprint for member in self.members)

    @property
    def options(self) -> Mapping[str, Any]:
        """The options that all members have in common, as they were asked for."""
        asked = self.first.options
        return {name: asked[name] for name in (*BASE_OPTIONS, "stratify") if name in asked}

    @property
    def has_groups(self) -> bool:
        """Whether all members are split by group; the column may have several names."""
        return self.first.options.get("group_column") is not None
