from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.console.redaction import redact, redact_json

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot reach http://ann:pa55@host:9000/x", "cannot reach http://***@host:9000/x"),
        ("https://ghs3cr3t@host/repository.git", "https://***@host/repository.git"),
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Credential=AK%2F1&X-Amz-Date=2026&X-Amz-Signature=ab12",
            "https://b.s3.amazonaws.com/k?X-Amz-Credential=***&X-Amz-Date=2026&X-Amz-Signature=***",
        ),
        ("s?x-goog-signature=00ff'", "s?x-goog-signature=***'"),
        (
            "https://a.blob/c?sv=2020&sig=a%2Bb%3D&se=2027",
            "https://a.blob/c?sv=2020&sig=***&se=2027",
        ),
        ("?key=AIzb&alt=json", "?key=***&alt=json"),
        ("['--s3_secret_access_key=wJalr/XUt']", "['--s3_secret_access_key=***']"),
        ("--s3_access_key_id AB12 --seed 3", "--s3_access_key_id *** --seed 3"),
        ("AWS_SESSION_TOKEN=FwoG/x== and", "AWS_SESSION_TOKEN=*** and"),
        ('{"aws_secret_access_key": "wJalr", "a": 1}', '{"aws_secret_access_key": "***", "a": 1}'),
        ("key AKIAIOSFODNN7EXAMPLE is", "key *** is"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
    ],
)
def test_a_secret_is_replaced(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/a@b/part-0.csv",
        "data/token=5/part-0.parquet, row 7: unknown label 'secret'",
        "--max-length: got 0, expected 1 or more",
        "the label AKIAGHKLMNPQRSTVWYAC",  # Amino acids.
        "gs://bucket/*.csv?x=1",
        "column 'token': got 3",
        "--key-column sequence",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert redact(text) == text


def test_a_secret_of_the_environment_is_replaced_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    monkeypatch.setenv("MY_TOKEN", "short")
    assert redact("signed wJalrXUtnFEMI/K7MDENG, short") == "signed ***, short"


def test_json_is_redacted_at_any_depth() -> None:
    options = {"input": ["http://a:b@c/d"], "seed": 3, "more": {"x": ("s?sig=1", None, True)}}
    assert redact_json(options) == {
        "input": ["http://***@c/d"],
        "seed": 3,
        "more": {"x": ["s?sig=***", None, True]},
    }


@given(st.text(alphabet="abc:/@?&=#'\" \n-_", max_size=60))
def test_redacting_again_changes_nothing(text: str) -> None:
    assert redact(redact(text)) == redact(text)
