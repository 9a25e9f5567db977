from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from charseq.errors import DataError
from trainer.evaluate.examples import (
    ExampleRow,
    Examples,
    LabelExamples,
    Ngram,
    describe_examples,
    read_examples,
)

pytestmark = pytest.mark.unit

EXAMPLES = Examples(
    "test",
    "ab" * 32,
    12,
    (
        LabelExamples(
            "x",
            (ExampleRow("AB", 2, "x", 0.75),),
            (ExampleRow("B\ufffdA", 3, "y", 0.5, (1.0, 0.0, -0.25)),),
            (Ngram("B", "begin", 3, 0.5),),
        ),
    ),
)


def test_a_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "examples-test.json"
    assert read_examples(str(path)) is None
    path.write_text(json.dumps(EXAMPLES.to_json()))
    assert read_examples(str(path)) == EXAMPLES
    path.write_text(json.dumps({"format_version": 2}))
    assert read_examples(str(path)) is None
    path.write_text(json.dumps({"format_version": 1, "split": "test"}))
    with pytest.raises(DataError, match=r"not examples of an evaluation.*evaluate that split"):
        read_examples(str(path))
    content = EXAMPLES.to_json()
    content["labels"][0]["label"] = None
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"examples-test\.json.*label: got None, expected str"):
        read_examples(str(path))


def test_characters_are_marked_by_their_share_of_the_greatest_influence():
    (described,) = describe_examples(EXAMPLES)["labels"]
    assert described["label"] == "x"
    (wrong,) = described["wrong"]
    assert (wrong["levels"], wrong["is_explained"]) == ([4, 0, -1], True)
    (right,) = described["right"]
    assert (right["levels"], right["is_explained"]) == ([0, 0], False)
    assert right["sequence"] == asdict(EXAMPLES)["labels"][0]["right"][0]["sequence"]
