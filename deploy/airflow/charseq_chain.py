"""The datasets of earlier dates that a date adds its rows to, and is trained together with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MANIFEST = "dataset.json"
# Beside a dataset that passed the checks, so that others may add to it.
MARK = ".accepted"


def earlier_datasets(dataset: str) -> list[str]:
    """Return the accepted datasets of earlier dates, the first one first.

    If the dataset is there already, they are those that it adds its rows to.

    Args:
        dataset: the directory of a date, such as `/data/charseq/datasets/20260102`; those of other
            dates lie beside it.
    """
    path = Path(dataset)
    others = sorted(path.parent.glob(f"*{MARK}"))
    found = [other.with_suffix("") for other in others if other.stem < path.name]
    if (path / MANIFEST).exists():
        base = _manifest(path).get("base", [])
        found = [each for each in found if _manifest(each)["fingerprint"] in base]
    return [str(each) for each in found]


def accept(dataset: str) -> None:
    """Let later dates add their rows to a dataset."""
    Path(f"{dataset}{MARK}").touch()


def _manifest(dataset: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((dataset / MANIFEST).read_text(encoding="utf-8"))
    return content
