"""What `import charseq` costs, and what it offers."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

import charseq
from tests.support.paths import ROOT

pytestmark = pytest.mark.unit

HEAVY = "{'numpy', 'pandas', 'tensorflow', 'keras', 'apache_beam', 'jinja2', 'pipeline', 'trainer'}"


def run(script: str) -> str:
    command = [sys.executable, "-c", f"import sys; {script}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_takes_no_time_and_no_library() -> None:
    script = f"import charseq; print(sorted(set(sys.modules) & {HEAVY}))"
    started = time.monotonic()
    assert run(script) == "[]\n"
    assert time.monotonic() - started < 0.5


def test_opening_a_dataset_needs_no_library() -> None:
    script = f"from charseq import open_dataset; print(sorted(set(sys.modules) & {HEAVY}))"
    assert run(script) == "[]\n"


def test_each_name_is_there_and_documented() -> None:
    assert set(charseq.__all__) <= set(dir(charseq))
    for name in charseq.__all__:
        assert getattr(charseq, name).__doc__, name
    with pytest.raises(AttributeError, match=r"has no attribute 'predict'"):
        charseq.predict  # noqa: B018
