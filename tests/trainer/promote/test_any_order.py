"""Promotions, retries, rollbacks and removals in any order: what always holds."""

from __future__ import annotations

import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.registries import fake_measure, write_data, write_run
from trainer.promote.__main__ import main
from trainer.promote.ledger import find_rollback, promotions
from trainer.promote.lineage import sha256_of_files, sha256_of_tree
from trainer.promote.registry import Registry

ACCURACIES = (0.3, 0.7, 0.5, 0.9)
FEWER_LABELS = 3  # The run with this number knows two of four labels.
RUNS = st.integers(0, len(ACCURACIES) - 1)
FLAGS = st.lists(st.sampled_from(["--again", "--allow-fewer-labels", "--keep=2"]), max_size=1)
# A command, the number of a run or of a version (0: none is given), and flags.
Step = tuple[str, int, list[str]]
NO_FLAGS: list[str] = []
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("candidate"), RUNS, FLAGS),
    st.tuples(st.just("rollback"), st.integers(0, 2), st.just(NO_FLAGS)),
)


# The version that was rolled back is removed before it is tried again.
REMOVED_BEFORE_A_RETRY: list[Step] = [
    ("candidate", 0, []),
    ("candidate", 1, []),
    ("rollback", 0, []),
    ("candidate", 2, []),
    ("candidate", 1, []),
]


@settings(max_examples=60, deadline=None)
@example(REMOVED_BEFORE_A_RETRY)
@example([*REMOVED_BEFORE_A_RETRY[:-1], ("candidate", 1, ["--again"])])
@given(st.lists(STEPS, max_size=12))
def test_what_holds_in_any_order(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as name:
        take(Path(name), steps)


def take(folder: Path, steps: list[Step]) -> None:
    """Take the steps in a new registry, and check what must hold after each and after all."""
    data = write_data(folder / "data")
    runs = [
        write_run(folder / f"run{n}", data, ["x", "y"] if n == FEWER_LABELS else (), accuracy=each)
        for n, each in enumerate(ACCURACIES)
    ]
    digests = [sha256_of_tree(sha256_of_files(str(run / "saved_model"))) for run in runs]
    registry = Registry(str(folder / "models"))
    for command, number, flags in steps:
        before = registry.pointer().current
        gone_back = {one for one in digests if find_rollback(registry.events(), one)}
        if command == "candidate":
            status = call(registry, "--candidate", str(runs[number]), "--keep=1", *flags)
        else:
            status = call(registry, "--rollback", *([str(number)] if number else []))
        current = registry.pointer().current
        if current == before:
            continue
        assert status == 0
        entry = registry.entry(current)
        assert entry["evaluation"]["fingerprint"] == entry["dataset"]["fingerprint"]
        assert entry["evaluation"]["split"] == "test"
        if command == "candidate":
            assert entry["saved_model"]["sha256"] == digests[number]
            assert digests[number] not in gone_back or "--again" in flags
            assert not entry["evaluation"]["lost_labels"] or "--allow-fewer-labels" in flags
        assert find_rollback(registry.events(), entry["saved_model"]["sha256"]) is None
    for number in promotions(registry.events()):
        assert call(registry, "--explain", str(number)) == 0


def call(registry: Registry, *arguments: str) -> int:
    with (
        mock.patch("trainer.promote.measurement.measure", fake_measure),
        mock.patch("trainer.data.dataset.Dataset.check_not_empty", return_value=None),
        redirect_stdout(StringIO()),
        redirect_stderr(StringIO()),
    ):
        return main(["--registry", registry.directory, *arguments])


def test_the_runs_of_this_test_can_be_promoted(tmp_path: Path) -> None:
    """Else it would hold for any steps that nothing happens."""
    take(tmp_path, [("candidate", 0, []), ("candidate", 1, []), ("rollback", 0, [])])
    events = Registry(str(tmp_path / "models")).events()
    assert [(event["event"], event["number"]) for event in events] == [
        ("promoted", 1),
        ("promoted", 2),
        ("rolled_back", 1),
    ]
