"""The options of `charseq serve`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from charseq.errors import DataError, UsageError
from charseq.flags import flag, validate
from charseq.models.saved_model import TRUST_MODEL_HELP

TOKEN_VARIABLE = "CHARSEQ_TOKEN"
_LEAST_TOKEN, _MOST_TOKEN = 16, 4096


@dataclass(frozen=True)
class ServeOptions:
    """What is served, to whom, and within which limits.

    Raises:
        UsageError: a value is not within the limits of its flag, or one flag lacks another.
    """

    registry: str = flag(
        "the registry whose current version is served: a directory, s3:// or gs://",
        metavar="DIR",
        is_path=True,
    )
    host: str = flag("address to listen at", default="127.0.0.1", metavar="ADDRESS")
    port: int = flag(
        "port to listen at; 0: a free one", default=8501, metavar="N", minimum=0, maximum=65535
    )
    token_file: str | None = flag(
        f"file with the token that requests must carry (default: the variable {TOKEN_VARIABLE})",
        default=None,
        metavar="FILE",
        is_path=True,
    )
    allow_host: tuple[str, ...] = flag(
        "further names under which the server is reached, as its proxy's",
        default=(),
        metavar="NAME",
    )
    allow_origin: tuple[str, ...] = flag(
        "origins of web pages that may read answers, as https://example.org",
        default=(),
        metavar="ORIGIN",
    )
    tls_cert: str | None = flag(
        "certificate chain in PEM, for https", default=None, metavar="FILE", is_path=True
    )
    tls_key: str | None = flag(
        "its private key in PEM",
        default=None,
        metavar="FILE",
        is_path=True,
        only_with="tls_cert",
    )
    max_body_bytes: int = flag("largest body of a request", default=1 << 23, metavar="N", minimum=1)
    max_rows: int = flag("most rows of a request", default=4096, metavar="N", minimum=1)
    max_characters: int = flag(
        "most characters of a sequence", default=1 << 16, metavar="N", minimum=1
    )
    max_queue_rows: int = flag(
        "most rows that wait for the model; requests beyond get 503",
        default=1 << 14,
        metavar="N",
        minimum=1,
    )
    timeout: float = flag(
        "seconds that a request may take to arrive, and then to be answered",
        default=30.0,
        metavar="S",
        above=0,
        maximum=3600,
    )
    batch_wait_ms: float = flag(
        "most milliseconds that a request waits for others to join its batch",
        default=0.0,
        metavar="MS",
        minimum=0,
        maximum=1000,
    )
    log_sequences: bool = flag("write the sequences of requests to the log, too", default=False)
    trust_model: bool = flag(TRUST_MODEL_HELP, default=False)

    def __post_init__(self) -> None:
        validate(self)
        if self.tls_cert and not self.tls_key:
            raise UsageError("--tls-cert: only with --tls-key")
        for origin in self.allow_origin:
            if origin != "*" and not origin.startswith(("http://", "https://")):
                raise UsageError(
                    f"--allow-origin: got {origin!r}, expected one as https://example.org, or *"
                )


def read_token(options: ServeOptions, environment: Mapping[str, str]) -> bytes | None:
    """Return the token that requests must carry; None if they need none.

    Raises:
        DataError: it is not one, or its file cannot be read.
    """
    if options.token_file is not None:
        with open(options.token_file, encoding="utf-8", errors="replace") as file:
            where, token = options.token_file, file.read(2 * _MOST_TOKEN).strip()
    elif TOKEN_VARIABLE in environment:
        where, token = TOKEN_VARIABLE, environment[TOKEN_VARIABLE].strip()
    else:
        return None
    is_plain = token.isascii() and token.isprintable() and " " not in token
    if not is_plain or not _LEAST_TOKEN <= len(token) <= _MOST_TOKEN:
        raise DataError(
            f"{where}: got {len(token)} characters, expected a token of {_LEAST_TOKEN} to "
            f"{_MOST_TOKEN:,} ASCII characters without blanks, as `openssl rand -hex 32` prints one"
        )
    return os.fsencode(token)
