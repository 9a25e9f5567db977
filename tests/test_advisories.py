from __future__ import annotations

from typing import Any

import pytest

from tests import advisories

pytestmark = pytest.mark.unit

LOCK = """\
# made by uv
grpcio==1.81.0 \\
    --hash=sha256:00
numpy==2.4.1 ; python_full_version >= '3.11' \\
    --hash=sha256:11
numpy==2.2.6 ; python_full_version < '3.11'
"""


def answer(query: dict[str, Any]) -> dict[str, Any]:
    def result(asked: dict[str, Any]) -> dict[str, Any]:
        affected = (asked["package"]["name"], asked["version"]) == ("numpy", "2.2.6")
        return {"vulns": [{"id": "GHSA-1"}, {"id": "PYSEC-2"}]} if affected else {}

    return {"results": [result(asked) for asked in query["queries"]]}


def unreachable(_: dict[str, Any]) -> dict[str, Any]:
    raise OSError("no route to host")


def test_each_version_of_the_lock_is_asked_for() -> None:
    packages = advisories.locked_packages(LOCK)
    assert packages == [("grpcio", "1.81.0"), ("numpy", "2.2.6"), ("numpy", "2.4.1")]
    assert advisories.find_advisories(packages, answer) == {
        ("numpy", "2.2.6"): ["GHSA-1", "PYSEC-2"]
    }
    with pytest.raises(OSError, match="0 answers for 3 packages"):
        advisories.find_advisories(packages, lambda _: {})


def test_a_service_that_cannot_be_reached_is_said_and_an_advisory_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(advisories, "ask_service", unreachable)
    assert advisories.main() == 0
    assert capsys.readouterr().out.startswith("NOT CHECKED: ")
    found = {"results": [{"vulns": [{"id": "GHSA-1"}]}]}
    monkeypatch.setattr(advisories, "locked_packages", lambda _: [("grpcio", "1.0")])
    monkeypatch.setattr(advisories, "ask_service", lambda _: found)
    assert advisories.main() == 1
    assert "grpcio 1.0: GHSA-1" in capsys.readouterr().out
