"""Files that a stranger might have: read, or refused with the words that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.preparation import manifest_of
from tests.support.strangers_files import StrangersFile, make_files, run


@pytest.mark.parametrize("file", make_files(), ids=lambda file: file.title)
def test_it_is_read_or_refused_with_the_words_that_help(
    tmp_path: Path, file: StrangersFile
) -> None:
    status, lines = run(file, tmp_path)
    assert (status, file.says in "\n".join(lines)) == (file.status, True), lines
    assert all(len(line) <= 2000 for line in lines)
    assert (tmp_path / "dataset" / "dataset.json").exists() == (status == 0)
    if status == 0:
        manifest = manifest_of(tmp_path / "dataset")
        assert sorted(manifest["labels"]) == sorted(file.labels)
        assert manifest["counts"]["read"] >= 300
