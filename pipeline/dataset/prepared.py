"""All that the steps of a preparation have made, before the dataset is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.dataset.plan import Plan
from pipeline.options import Options
from pipeline.output.staging import Staging
from pipeline.rows.counts import ReadCounts
from pipeline.rows.rejected_files import RejectedFile
from pipeline.rows.sources import Source
from pipeline.shards.write import ShardSummary
from pipeline.similar.leak import Leak


@dataclass(frozen=True)
class PreparedDataset:
    """A dataset whose files are staged.

    staging: of the run. transform_dir: the graph that encodes. counts: of all rows that were read.
    shards, rejected_files: in any order. leaks: with --similar, and as they were without it.
    group_index: the staged file, with --group-column.
    """

    options: Options
    sources: Sequence[Source]
    staging: Staging
    transform_dir: str
    counts: ReadCounts
    plan: Plan
    shards: Sequence[ShardSummary]
    rejected_files: Sequence[RejectedFile]
    leaks: Sequence[Leak] | None = None
    group_index: str | None = None
