"""docs/notebook.ipynb, run from its first cell to its last."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.paths import ROOT

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
# Where it leaves what it ran, to be looked at; as `NOTEBOOK_OUTPUT=/tmp/executed.ipynb`.
OUTPUT = "NOTEBOOK_OUTPUT"


@pytest.mark.unit
def test_it_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in codes] == [([], None)] * len(codes)


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    work = tmp_path / "work"
    work.mkdir()
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(work)}}
    )
    client.execute()
    if OUTPUT in os.environ:
        nbformat.write(notebook, os.environ[OUTPUT])
    texts = [output.text for output in outputs_of(notebook) if "text" in output]
    assert any("4,000 rows read in" in text for text in texts)
    assert any("epoch 3/3: loss" in text for text in texts)
    assert not any("oneDNN" in text or "cuda" in text.lower() for text in texts)
    pages = [page for page in shown(notebook, "text/html") if "<b>Dataset</b>" in page]
    assert len(pages) == 1
    assert any("n-gram baseline" in page for page in shown(notebook, "text/html"))
    (picture,) = shown(notebook, "image/png")
    assert base64.b64decode(picture).startswith(b"\x89PNG")


def outputs_of(notebook: Any) -> list[Any]:
    """Return the outputs of all cells."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def shown(notebook: Any, kind: str) -> list[str]:
    """Return what was shown of a MIME type."""
    outputs = (output.get("data", {}) for output in outputs_of(notebook))
    return [data[kind] for data in outputs if kind in data]
