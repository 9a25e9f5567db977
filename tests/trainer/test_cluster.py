"""TF_CONFIG, as schedulers set it, and as people do."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from charseq.errors import DataError
from trainer.cluster import no_cluster, read_workers

pytestmark = pytest.mark.unit


def config(cluster: Any, task: Any = None, **more: Any) -> str:
    return json.dumps({"cluster": cluster, **({"task": task} if task else {}), **more})


FIRST = {"type": "worker", "index": 0}


@pytest.mark.parametrize(
    ("text", "workers"),
    [
        (None, ()),
        ("", ()),
        (" \n", ()),
        ("{}", ()),
        ('{"cluster": {}}', ()),
        ('{"cluster": null, "task": null}', ()),
        (config({"worker": ["localhost:2222"]}, FIRST, environment="cloud"), ("localhost:2222",)),
        (config({"chief": ["a:1"]}, {"type": "chief", "index": 0}), ("a:1",)),
        (
            config({"worker": ["b:1", "[::1]:2"], "chief": ["a:1"]}, {**FIRST, "index": "1"}),
            ("a:1", "b:1", "[::1]:2"),
        ),
    ],
)
def test_the_workers_are_those_that_it_names(
    monkeypatch: pytest.MonkeyPatch, text: str | None, workers: tuple[str, ...]
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    assert read_workers() == workers


ONE = {"worker": ["a:1"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{]", "not JSON: Expecting property name"),
        ("[1, 2]", "got [1, 2]"),
        ('"' + "x" * 5000 + '"', f'got "{"x" * 59}…'),
        (config("a:1"), '"cluster": got "a:1"'),
        (config({"worker": "a:1"}, FIRST), '"worker": got "a:1", no list'),
        (config({"worker": ["a"]}, FIRST), '"worker": got "a", no HOST:PORT'),
        (config({"worker": [7]}, FIRST), '"worker": got 7, no HOST:PORT'),
        (config({"chief": ["a:1", "b:1"]}, FIRST), '"chief": got 2 addresses, and there is one'),
        (config({**ONE, "ps": ["b:1"]}, FIRST), 'job "ps": only "chief" and "worker" can train'),
        (config(ONE), '"task": got null'),
        (config(ONE, {"index": 0}), 'the "type" of "task": got null, no job of the cluster'),
        (config(ONE, {"type": "chief", "index": 0}), '"type" of "task": got "chief", no job of'),
        (
            config(ONE, {"type": "worker"}),
            'the "index" of "task": got null, but job "worker" has 1',
        ),
        (config(ONE, {"type": "worker", "index": 1}), '"index" of "task": got 1, but job "worker"'),
        (config(ONE, {"type": "worker", "index": -1}), '"index" of "task": got -1, but job'),
        (config(ONE, {"type": "worker", "index": True}), '"index" of "task": got true, but job'),
        (config(ONE, {"type": ["worker"], "index": 0}), '"type" of "task": got ["worker"], no job'),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(DataError) as raised:
        read_workers()
    said = str(raised.value)
    assert said.startswith("TF_CONFIG: ")
    assert message in said
    assert '; expected {"cluster": {"worker": ["HOST:PORT", …]}, "task": ' in said
    assert "\n" not in said
    assert len(said) < 400


def test_it_can_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "{]")
    with no_cluster():
        assert "TF_CONFIG" not in os.environ
        assert read_workers() == ()
    assert os.environ["TF_CONFIG"] == "{]"
    monkeypatch.delenv("TF_CONFIG")
    with no_cluster():
        pass
    assert "TF_CONFIG" not in os.environ
