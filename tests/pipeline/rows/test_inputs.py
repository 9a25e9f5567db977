from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.rows import inputs
from pipeline.rows.inputs import identify

pytestmark = pytest.mark.unit

# sha256sum of "abc" (FIPS 180-2, B.1) and of nothing.
ABC = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
NOTHING = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_local_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("abc")
    (tmp_path / "b").write_text("")
    sizes = {str(tmp_path / "a"): 3, str(tmp_path / "b"): 0}
    assert identify(sizes) == {str(tmp_path / "a"): ABC, str(tmp_path / "b"): NOTHING}


def test_bytes_are_hashed_in_order_over_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "_CHUNK", 2)
    (tmp_path / "a").write_text("abc")
    assert identify({str(tmp_path / "a"): 3}) == {str(tmp_path / "a"): ABC}


def test_much_is_known_by_the_time_of_its_last_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MAX_HASHED_BYTES", 5)
    paths = [str(tmp_path / name) for name in ("a", "b")]
    for path in paths:
        Path(path).write_text("abc")
    os.utime(paths[0], ns=(0, 1_500_000_000_123_456_789))
    os.utime(paths[1], ns=(0, 7))
    assert identify(dict.fromkeys(paths, 3)) == {
        paths[0]: "mtime:1500000000123456789",
        paths[1]: "mtime:7",
    }
    assert identify({paths[0]: 3}) == {paths[0]: ABC}


@pytest.mark.integration
def test_a_dataset_names_what_it_was_made_from_but_its_fingerprint_does_not(
    tmp_path: Path,
) -> None:
    found = []
    for name, end in (("lf", "\n"), ("crlf", "\r\n")):
        data = tmp_path / f"{name}.csv"
        data.write_text("sequence,label\nabc,x\nab,y\nba,x\ncab,y\n", newline=end)
        flags = ["--input", str(data), "--output", str(tmp_path / name), "--split", "train=1"]
        assert main(flags) == 0
        found.append(json.loads((tmp_path / name / "dataset.json").read_text()))
    assert found[0]["inputs"] == [
        {
            "path": str(tmp_path / "lf.csv"),
            "bytes": 37,
            # sha256sum lf.csv
            "identity": "sha256:c983f638d895d18185b77a85e3c3a4a799aedc7fa6db92aa5ff7248190d90d19",
        }
    ]
    assert found[1]["inputs"][0]["identity"] != found[0]["inputs"][0]["identity"]
    assert found[0]["fingerprint"] == found[1]["fingerprint"]
