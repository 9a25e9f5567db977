"""A directory has one owner: another is refused, waited for or taken over, and stops by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from charseq.errors import DataError
from trainer.owner import Owner, _this_process, owned_directory, read_owner

pytestmark = pytest.mark.unit

ELSEWHERE = Owner("ab" * 16, "other", "boot", "pid:[1]", 17, 99)


def leave(directory: Path, owner: Owner, age: float = 0) -> None:
    """Write the `owner.json` of a process that has not renewed it for `age` seconds."""
    path = directory / "owner.json"
    path.write_text(json.dumps(asdict(owner)))
    now = time.time()
    os.utime(path, (now - age, now - age))


def ended_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_the_owner_is_named_while_the_block_runs(tmp_path: Path) -> None:
    with owned_directory(str(tmp_path), locked=True) as ownership:
        owner = read_owner(str(tmp_path / "owner.json"))
        assert owner is not None
        assert owner.pid == os.getpid()
        ownership.check()
        assert [path.name for path in tmp_path.iterdir()] == ["owner.json"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("age", [0, 110])
def test_an_owner_elsewhere_is_refused_for_two_minutes(tmp_path: Path, age: float) -> None:
    leave(tmp_path, ELSEWHERE, age)
    with (
        pytest.raises(DataError, match="another run is writing there, process 17 on other"),
        owned_directory(str(tmp_path), locked=True),
    ):
        pass
    assert read_owner(str(tmp_path / "owner.json")) == ELSEWHERE
    assert [path.name for path in tmp_path.iterdir()] == ["owner.json"]


def test_an_owner_that_is_not_renewed_is_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(tmp_path, ELSEWHERE, 125)
    with owned_directory(str(tmp_path), locked=False) as ownership:
        ownership.check()
    assert "belonged to process 17 on other, not heard of for 125" in capsys.readouterr().err


@pytest.mark.parametrize("locked", [True, False])
def test_a_killed_process_of_this_machine_does_not_keep_the_next_one_out(
    tmp_path: Path, locked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(tmp_path, replace(_this_process(), id="cd" * 16, pid=ended_process()))
    with owned_directory(str(tmp_path), locked=locked) as ownership:
        ownership.check()
    assert capsys.readouterr().err == ""


def test_another_process_with_the_number_of_the_owner_is_not_the_owner(tmp_path: Path) -> None:
    leave(tmp_path, replace(_this_process(), started=1))
    with owned_directory(str(tmp_path), locked=False) as ownership:
        ownership.check()


def test_a_running_process_of_this_machine_is_refused_without_locks(tmp_path: Path) -> None:
    leave(tmp_path, replace(_this_process(), id="cd" * 16))
    with (
        pytest.raises(DataError, match="another run is writing there"),
        owned_directory(str(tmp_path), locked=False),
    ):
        pass


@pytest.mark.parametrize("locked", [True, False])
def test_of_the_container_before_this_one_only_a_lock_can_tell(
    tmp_path: Path, locked: bool
) -> None:
    leave(tmp_path, replace(_this_process(), id="cd" * 16, pid_namespace="pid:[2]"))
    if locked:
        with owned_directory(str(tmp_path), locked=True) as ownership:
            ownership.check()
        return
    with (
        pytest.raises(DataError, match="another run is writing there"),
        owned_directory(str(tmp_path), locked=False),
    ):
        pass


def test_an_owner_that_was_taken_over_learns_it_and_leaves_the_other_alone(tmp_path: Path) -> None:
    with owned_directory(str(tmp_path), locked=True) as ownership:
        leave(tmp_path, ELSEWHERE)
        with pytest.raises(DataError, match="process 17 on other has taken it over"):
            ownership.check()
    assert read_owner(str(tmp_path / "owner.json")) == ELSEWHERE


def test_a_name_that_somebody_removed_is_written_again(tmp_path: Path) -> None:
    with owned_directory(str(tmp_path), locked=True) as ownership:
        (tmp_path / "owner.json").unlink()
        ownership.check()
        assert (tmp_path / "owner.json").exists()


def test_the_name_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.owner.RENEWED_AFTER_SECONDS", 0.01)
    with owned_directory(str(tmp_path), locked=True):
        path = tmp_path / "owner.json"
        os.utime(path, (1, 1))
        ends = time.monotonic() + 10
        while path.stat().st_mtime == 1 and time.monotonic() < ends:
            time.sleep(0.01)
        assert time.time() - path.stat().st_mtime < 60


def test_another_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.owner._SECONDS_BETWEEN_LOOKS", 0.01)
    leave(tmp_path, ELSEWHERE)
    threading.Timer(0.1, (tmp_path / "owner.json").unlink).start()
    with owned_directory(str(tmp_path), locked=False, wait=True) as ownership:
        ownership.check()


def test_a_file_of_the_user_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "owner.json").write_text('{"name": "me"}')
    with (
        pytest.raises(DataError, match=r"damaged, or not an owner\.json"),
        owned_directory(str(tmp_path), locked=True),
    ):
        pass
    assert (tmp_path / "owner.json").read_text() == '{"name": "me"}'


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("trainer.owner.os.link", fail)
    with owned_directory(str(tmp_path), locked=False) as ownership:
        ownership.check()
        with (
            pytest.raises(DataError, match="another run is writing there"),
            owned_directory(str(tmp_path), locked=False),
        ):
            pass
        ownership.check()


def test_what_a_process_that_was_killed_in_its_claim_left_is_removed(tmp_path: Path) -> None:
    for name in (f"owner.json.{'ab' * 16}", f"owner.json.{'cd' * 16}.tmp", "owner.json.mine"):
        (tmp_path / name).write_text("{")
    with owned_directory(str(tmp_path), locked=True):
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == ["owner.json", "owner.json.mine"]
