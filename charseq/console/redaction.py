"""Secrets taken out of what commands print on standard error and write about themselves.

An address may hold a password or a signature, and a library's error may show an address or a flag.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

REDACTED = "***"

_SECRET_NAME = (
    r"[\w-]*(?:secret|passwd|password|token|access_?key|account_?key|api_?key|signature)[\w-]*"
)
_PATTERNS = (
    # user:password@ of an address. A path may have an @, but stands after a slash.
    re.compile(r"(?P<kept>\b[a-z][a-z0-9+.-]*://)[^/\s?#'\"]+(?=@)", re.I),
    # Parameters of signed addresses: Amazon's, Google's, Azure's; and keys in other addresses.
    re.compile(
        r"(?P<kept>[?&;](?:X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token)|sig|key|code|"
        rf"AWSAccessKeyId|GoogleAccessId|{_SECRET_NAME})=)[^&;\s'\"<>]+",
        re.I,
    ),
    # --s3_secret_access_key=…, --s3_secret_access_key …, AWS_SECRET_ACCESS_KEY=…
    re.compile(rf"(?P<kept>(?<![\w./-]){_SECRET_NAME}=['\"]?)[^\s'\",;&]+", re.I),
    re.compile(rf"(?P<kept>(?<!\S)--{_SECRET_NAME} )(?!-)\S+", re.I),
    # 'secret_access_key': '…', as in JSON or a dict of Python.
    re.compile(rf"(?P<kept>(?P<quote>['\"]){_SECRET_NAME}(?P=quote)\s*:\s*['\"])[^'\"]+", re.I),
    re.compile(r"(?P<kept>\bAuthorization['\"]?\s*[:=]\s*['\"]?(?:\w+ )?)[^\s'\",]+", re.I),
    # Keys that have a form of their own: Amazon's (with a digit), Google's, GitHub's.
    re.compile(r"(?P<kept>)\b(?:AKIA|ASIA)(?=[A-Z]*[2-7])[A-Z2-7]{16}\b"),
    re.compile(r"(?P<kept>)\b(?:AIza[\w-]{35}|ya29\.[\w.-]{20,}|gh[pousr]_\w{36,})"),
)
# What a secret in a variable of the process is named; shorter values may be words.
_SECRET_VARIABLE = re.compile(r"SECRET|TOKEN|PASSWORD|ACCESS_KEY", re.I)
_SHORTEST_SECRET = 12


# The paths of a few files come with many rows.
@lru_cache(maxsize=1024)
def redact(text: str) -> str:
    """Return a text with *** for passwords, keys, tokens and signatures in it."""
    for secret in _secrets_of_process():
        text = text.replace(secret, REDACTED)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<kept>{REDACTED}", text)
    return text


def redact_json(value: Any) -> Any:
    """Return a value of JSON with each text in it redacted; keys stay."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {name: redact_json(each) for name, each in value.items()}
    return [redact_json(each) for each in value] if isinstance(value, (list, tuple)) else value


def _secrets_of_process() -> Iterator[str]:
    for name, value in os.environ.items():
        if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST_SECRET and value[0] != "/":
            yield value
