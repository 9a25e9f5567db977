"""Beam's Prism: that of the PATH, or the one that `make prism-test` has built."""

from __future__ import annotations

import shutil
from pathlib import Path

import apache_beam as beam

from tests.support.paths import ROOT

PRISM = ROOT / "build" / "prism" / str(beam.__version__) / "prism"


def find_prism() -> Path | None:
    """The path of Prism, None where there is none."""
    if found := shutil.which("prism"):
        return Path(found)
    return PRISM if PRISM.exists() else None
