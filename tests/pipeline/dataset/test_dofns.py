"""What the DoFns pass on, without a runner."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from apache_beam.pvalue import TaggedOutput

from pipeline.dataset.dofns import COUNTS, TRAIN, ReadAndCheck
from pipeline.options import Options
from pipeline.rows import parts
from pipeline.rows.counts import add_counts
from pipeline.rows.parts import cut_into_parts
from pipeline.rows.sources import find_sources
from pipeline.rows.spilling import Spill

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("max_labels", "analyzed"), [(6, 6), (5, 5), (3, 3)])
def test_labels_are_analyzed_until_they_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_labels: int, analyzed: int
) -> None:
    monkeypatch.setattr(parts, "MIN_BLOCK_BYTES", 4)
    path = tmp_path / "rows.csv"
    path.write_text("sequence,label\n" + "".join(f"A,{label}\n" for label in "uvwxyz"))
    options = Options(input=(str(path),), output="o", split="train=1", max_labels=max_labels)
    do_fn = ReadAndCheck(options, Spill(None))
    found: Counter[str] = Counter()
    counts = []
    for part in cut_into_parts(find_sources(options.input_options)):
        do_fn.start_bundle()
        for output in [*do_fn.process(part), *do_fn.finish_bundle()]:
            if isinstance(output, TaggedOutput):
                found[output.tag] += 1
                if output.tag == COUNTS:
                    counts.append(output.value.value)
    assert found == {COUNTS: 6, TRAIN: analyzed}
    assert len(add_counts(counts).labels) == 6
