from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from charseq.errors import DataError
from tests.support.paths import ROOT
from tests.support.registries import write_data, write_entry, write_run
from trainer.promote.registry import Pointer, Registry

pytestmark = pytest.mark.unit


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", write_data(tmp_path / "data"))


@pytest.fixture
def registry(tmp_path):
    return Registry(str(tmp_path / "models"))


def publish(registry, run, previous=None):
    with registry.locked(), registry.staged(str(run / "saved_model")) as staged:
        number = registry.next_number()
        write_entry(Path(staged), number, previous)
        registry.publish(number)
    return number


def names(registry):
    """What is in a registry, without the name of the process that looks."""
    return sorted(set(os.listdir(registry.directory)) - {"owner.json"})


def test_a_version_is_a_saved_model_with_its_entry(registry, run):
    assert publish(registry, run) == 1
    version = Path(registry.path(1))
    assert sorted(str(p.relative_to(version)) for p in version.rglob("*") if p.is_file()) == [
        "assets.extra/entry.json",
        "assets/dataset.json",
        "assets/run.json",
        "saved_model.pb",
        "variables/variables.index",
    ]
    assert (version / "saved_model.pb").read_text() == "graph of run"
    assert registry.entry(1)["number"] == 1
    assert names(registry) == [".lock", "1", "models.config"]


def test_the_pointer_is_what_tensorflow_serving_reads(registry, run):
    publish(registry, run)
    lines = Path(registry.path("models.config")).read_text().splitlines()
    assert lines[2:] == [
        "# newest: 1",
        "model_config_list {",
        "  config {",
        '    name: "charseq"',
        f'    base_path: "{os.path.abspath(registry.directory)}"',
        '    model_platform: "tensorflow"',
        "    model_version_policy { specific { versions: 1 } }",
        "  }",
        "}",
    ]


def test_users_may_change_name_and_path(registry, run):
    publish(registry, run)
    path = Path(registry.path("models.config"))
    path.write_text(path.read_text().replace('"charseq"', '"mine"').replace("base_path", "path"))
    publish(registry, run, previous=1)
    text = path.read_text()
    assert '"mine"' in text
    assert "base_path" not in text
    assert "versions: 2 " in text


@pytest.mark.parametrize(
    "change", [("versions: 1", "versions: 1 versions: 2"), ("# newest: 1", "")]
)
def test_an_ambiguous_pointer_is_refused(registry, run, change):
    publish(registry, run)
    path = Path(registry.path("models.config"))
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(DataError, match="expected one each"):
        registry.pointer()


def test_numbers_are_not_reused(registry, run):
    for previous in (None, 1, 2):
        publish(registry, run, previous)
    registry.point(1)
    assert registry.pointer() == Pointer(current=1, newest=3)
    for number in (2, 3):
        os.rename(registry.path(number), registry.path(f".removed-{number}"))
    assert registry.repair() is None
    assert names(registry) == [".lock", "1", "models.config"]
    assert registry.next_number() == 4


def test_versions_are_sorted_by_number(registry, run):
    for number in range(11):
        publish(registry, run, number or None)
    assert registry.numbers() == list(range(1, 12))
    assert registry.prune(keep=3) == list(range(1, 9))
    assert registry.numbers() == [9, 10, 11]


@pytest.mark.parametrize(
    ("current", "keep", "left"),
    [(4, 9, [1, 2, 3, 4]), (4, 2, [3, 4]), (4, 1, [3, 4]), (2, 3, [1, 2, 4]), (2, 1, [1, 2])],
)
def test_the_current_version_and_the_one_before_it_stay(registry, run, current, keep, left):
    for previous in (None, 1, 2, 3):
        publish(registry, run, previous)
    registry.point(current)
    registry.prune(keep)
    assert registry.numbers() == left


def test_the_kept_predecessor_is_the_version_that_was_replaced(registry, run):
    for previous in (None, 1, 2, 1):
        publish(registry, run, previous)
    registry.prune(keep=1)
    assert registry.numbers() == [1, 4]


def test_a_version_that_does_not_exist_is_reported(registry, run):
    for previous in (None, 1):
        publish(registry, run, previous)
    with pytest.raises(DataError, match=r"models/3: no such version; .*models holds 1, 2"):
        registry.entry(3)
    os.rename(registry.path(2), registry.path(7))
    with pytest.raises(DataError, match=r"its assets.extra/entry.json is of version 2"):
        registry.entry(7)


def test_a_directory_with_files_of_another_kind_is_refused(registry):
    os.makedirs(registry.path("train"))
    message = "holds files that are not of a registry, such as train"
    with pytest.raises(DataError, match=message), registry.locked():
        pass
    assert names(registry) == ["train"]


def test_the_extra_assets_of_another_owner_are_not_copied(registry, run):
    extra = run / "saved_model" / "assets.extra"
    extra.mkdir()
    (extra / "entry.json").write_text("another registry's")
    publish(registry, run)
    assert registry.entry(1)["number"] == 1


def test_a_staged_copy_that_is_not_published_is_removed(registry, run):
    with registry.locked():
        with registry.staged(str(run / "saved_model")):
            assert names(registry) == [".lock", ".new"]
        assert names(registry) == [".lock"]


KILLED = """
import os, shutil, sys
from pathlib import Path
from tests.support.registries import write_entry
from trainer.promote import registry as module

kill_at, models, run, previous = sys.argv[1:]
left = int(kill_at)

def killing(function):
    def called(*arguments, **settings):
        global left
        left -= 1
        if not left:
            os._exit(9)
        return function(*arguments, **settings)
    return called

# Every call that changes a file system, or waits for it: killed before the n-th of them.
for place, name in ((os, "rename"), (os, "replace"), (os, "mkdir"), (os, "unlink"),
                    (os, "rmdir"), (os, "fsync"), (shutil, "copyfile"), (shutil, "copytree")):
    setattr(place, name, killing(getattr(place, name)))
registry = module.Registry(models)
with registry.locked():
    registry.repair()
    with registry.staged(f"{run}/saved_model") as staged:
        number = registry.next_number()
        write_entry(Path(staged), number, int(previous))
        registry.publish(number)
    registry.prune(keep=1)
"""


@pytest.mark.integration
def test_a_promotion_killed_anywhere_is_repaired_by_the_next(registry, run):
    """Promotions of 4, 5, …, each killed one step later than the one before."""
    for previous in (None, 1, 2):
        publish(registry, run, previous)
    kill_at, completed, became_current = 0, False, 0
    while not completed:
        kill_at += 1
        before = registry.pointer()
        arguments = [str(kill_at), registry.directory, str(run), str(before.current)]
        killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, check=False)
        completed = killed.returncode == 0
        assert killed.returncode in (0, 9)
        # A server sees whole versions only, and a pointer to one of them.
        for number in registry.numbers():
            assert registry.entry(number)["number"] == number
            assert (Path(registry.path(number)) / "variables" / "variables.index").exists()
        assert registry.pointer().current in registry.numbers()
        with registry.locked():
            finished = registry.repair()
        after = registry.pointer()
        became_current += finished is not None
        assert after.current == after.newest == max(registry.numbers())
        assert not [name for name in names(registry) if name.startswith((".new", ".removed"))]
    assert kill_at > 15
    assert became_current >= 2  # Killed between the version's rename and the pointer's.
    assert registry.numbers() == [after.current - 1, after.current]


def test_a_killed_first_promotion_is_finished(registry, run, monkeypatch):
    with monkeypatch.context() as cut:
        cut.setattr(Registry, "point", lambda *_: None)
        publish(registry, run)
    assert names(registry) == [".lock", "1"]
    assert registry.repair() == 1
    assert registry.pointer() == Pointer(current=1, newest=1)


def hold(directory, held, seconds):
    with Registry(directory).locked():
        held.set()
        time.sleep(seconds)


@pytest.mark.integration
def test_another_process_waits_for_the_lock(registry, capfd):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=hold, args=(registry.directory, held, 0.5))
    holder.start()
    held.wait()
    started = time.monotonic()
    with registry.locked():
        assert time.monotonic() - started > 0.3
    holder.join()
    assert re.fullmatch(r"waiting for another process in .*models\n", capfd.readouterr().err)


def test_a_registry_that_does_not_exist_is_reported(registry):
    with pytest.raises(DataError, match=r"holds no models.config: not a registry, or empty"):
        registry.require()


def test_where_nothing_can_be_locked_the_owner_keeps_others_out(registry, run, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("trainer.promote.registry.fcntl.flock", fail)
    with registry.locked():
        owner = Path(registry.path("owner.json"))
        owner.write_text(owner.read_text().replace('"pid": ', '"pid": 9'))
        with registry.staged(str(run / "saved_model")), pytest.raises(DataError, match="taken it"):
            registry.publish(1)
        assert registry.numbers() == []
        with pytest.raises(DataError, match="has taken it over"):
            registry.point(1)


def test_an_owner_who_ends_lets_the_next_one_in(registry, monkeypatch):
    monkeypatch.setattr("trainer.owner._SECONDS_BETWEEN_LOOKS", 0.01)
    os.makedirs(registry.directory)
    owner = Path(registry.path("owner.json"))
    process = {"host": "other", "boot": "b", "pid_namespace": "n", "pid": 1, "started": 1}
    owner.write_text(json.dumps({"id": "ab" * 16, **process}))
    threading.Timer(0.1, owner.unlink).start()
    with registry.locked():
        assert json.loads(owner.read_text())["host"] != "other"


@pytest.mark.parametrize("name", [".lock", "models.config", "owner.json", ".new", "1"])
def test_a_link_in_a_registry_is_not_followed(registry, tmp_path, name):
    os.makedirs(registry.directory)
    (tmp_path / "precious").write_text("kept")
    Path(registry.path(name)).symlink_to(tmp_path / "precious")
    for use in (registry.locked().__enter__, registry.require):
        with pytest.raises(DataError, match=f"{re.escape(name)}: a link, and links"):
            use()
    assert (tmp_path / "precious").read_text() == "kept"
    assert os.listdir(registry.directory) == [name]


def test_a_link_at_the_name_of_an_unfinished_pointer_is_not_written_through(
    registry, run, tmp_path
):
    publish(registry, run)
    (tmp_path / "precious").write_text("kept")
    with registry.locked():
        Path(registry.path("models.config.tmp")).symlink_to(tmp_path / "precious")
        registry.point(1)
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_lock_that_becomes_a_link_is_not_followed(registry, tmp_path, monkeypatch):
    os.makedirs(registry.directory)
    Path(registry.path(".lock")).symlink_to(tmp_path / "created")
    monkeypatch.setattr(Registry, "_check_no_links", lambda _: None)
    with pytest.raises(OSError, match="Too many levels of symbolic links"), registry.locked():
        pass
    assert not (tmp_path / "created").exists()
