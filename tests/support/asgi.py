"""The server's application in this process, with a model that needs no TensorFlow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from charseq.server.app import Settings, create_app
from charseq.server.batches import Batcher, BatchSettings
from charseq.server.errors import RequestError
from charseq.server.gate import Access, known_hosts
from charseq.server.metrics import Metrics
from charseq.server.model.handle import ModelProcess
from charseq.server.model.messages import (
    ANSWER,
    ASK,
    Call,
    Counted,
    Ready,
    Result,
    Signature,
    TensorSpec,
)
from charseq.server.registry import LocalRegistry
from charseq.server.rest.calls import Limits
from charseq.server.rest.predict_answer import state_of_version
from charseq.server.versions import Version, Versions
from charseq.text.normalization import Normalization

VERSION = 3
LIMITS = Limits(50, 40)
MAX_LENGTH = 5
_TEXTS = TensorSpec("string", (None,))
SIGNATURES = {
    "serving_default": Signature({"sequence": _TEXTS}, ("label", "probability")),
    "top_k": Signature({"sequence": _TEXTS, "k": TensorSpec("int32", ())}, ("labels",)),
    "predict_set": Signature(
        {"sequence": _TEXTS, "coverage": TensorSpec("float32", ())}, ("labels", "size")
    ),
    "classify_ids": Signature(
        {"ids": TensorSpec("int64", (None, None)), "length": TensorSpec("int64", (None,))},
        ("probabilities",),
    ),
    "explain": Signature({"sequence": _TEXTS}, ("influence",)),
    "raw": Signature({"sequence": _TEXTS}, ("raw_bytes",)),
    "scalar": Signature({"sequence": _TEXTS}, ("label", "total")),
    "flags": Signature({"is_on": TensorSpec("bool", (None,))}, ("is_off",)),
}


def objects(values: Sequence[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


class FakeModel:
    """Answers with the first letter and the length of a text; `fail` fails, `slow` takes long.

    calls: those that it was given.
    """

    def __init__(self, signatures: Mapping[str, Signature] = SIGNATURES) -> None:
        self.calls: list[Call] = []
        self.has_ended = asyncio.Event()
        self.ready = Ready(
            signatures=signatures,
            signature_def={
                name: {"inputs": {}, "method_name": "tensorflow/serving/predict"}
                for name in signatures
            },
            normalization=Normalization(nfc=True, lowercase=False, strip=False),
            labels=("a", "b", "é"),
            max_length=MAX_LENGTH,
            batch_rows=100,
            seconds=0.5,
            card={"labels": ["a", "b", "é"], "train_rows": 7},
        )

    async def call(self, call: Call) -> Result:
        self.calls.append(call)
        texts = call.columns.get("sequence", objects([])).tolist()
        if b"fail" in texts:
            raise RequestError(400, "the model fails: no such sequence")
        await asyncio.sleep(0.2 if b"slow" in texts else 0)
        return Result(
            self._outputs(call, texts), Counted({0: len(texts)}, 9, 3, np.ones(1, np.float32))
        )

    def _outputs(self, call: Call, texts: list[bytes]) -> dict[str, np.ndarray]:
        labels = objects([text[:1] for text in texts])
        lengths = np.array([max(len(text), 1) for text in texts])
        if call.signature == ASK:
            wanted = call.shared
            return {ANSWER: objects([json.dumps([text.decode(), wanted]) for text in texts])}
        if call.signature == "classify_ids":
            return {"probabilities": call.columns["ids"].astype(np.float32) / 2}
        return {
            "serving_default": {"label": labels, "probability": (1 / lengths).astype(np.float32)},
            "top_k": {"labels": np.stack([labels] * int(call.shared.get("k", 1)), axis=1)},
            "predict_set": {"labels": labels[:, None], "size": lengths.astype(np.int32)},
            "explain": {"influence": np.full((len(texts), 2), np.nan, np.float32)},
            "raw": {"raw_bytes": labels},
            "scalar": {"label": labels, "total": np.array(lengths.sum())},
            "flags": {"is_off": ~call.columns.get("is_on", np.zeros(0, bool))},
        }[call.signature]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class InMemoryServer:
    """An application with version 3 of a model, or with none. log: its lines."""

    def __init__(
        self,
        *,
        token: bytes | None = None,
        hosts: Sequence[str] = (),
        origins: Sequence[str] = (),
        limits: Limits = LIMITS,
        max_body_bytes: int = 3000,
        queue_rows: int = 1000,
        seconds: float = 5.0,
        wait: float = 0.0,
        log_sequences: bool = False,
        model: FakeModel | None = None,
        is_loaded: bool = True,
    ) -> None:
        self.log: list[dict[str, Any]] = []
        self.metrics = Metrics()
        self.model = model or FakeModel()
        self._batches = BatchSettings(wait, queue_rows, seconds)
        self._settings = Settings(
            name="charseq",
            limits=limits,
            max_body_bytes=max_body_bytes,
            access=Access(known_hosts("127.0.0.1", hosts), token),
            origins=tuple(origins),
            log_sequences=log_sequences,
        )
        self._is_loaded = is_loaded

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return self.requests([(method, path, body, headers)])[0]

    def requests(self, requests: Sequence[tuple[Any, ...]]) -> list[Answer]:
        """Return the answers to requests that are made at the same time."""
        return asyncio.run(self._request_all(requests))

    async def _request_all(self, requests: Sequence[tuple[Any, ...]]) -> list[Answer]:
        versions = Versions(
            LocalRegistry("registry"), False, self._batches, self.metrics, self._note
        )
        app = create_app(versions, self._settings, self.metrics, self._note)
        if self._is_loaded:
            batcher = Batcher(
                self.model,
                self._batches,
                lambda: versions.requests_under_way(),
                lambda rows, counted: self.metrics.note_batch(rows, counted, ("a", "b")),
            )
            versions.current = Version(VERSION, cast(ModelProcess, self.model), batcher)
            versions.states[VERSION] = state_of_version(VERSION, "AVAILABLE")
        return list(await asyncio.gather(*(_request(app, *each) for each in requests)))

    def _note(self, **fields: Any) -> None:
        self.log.append(fields)


async def _request(
    app: Any,
    method: str,
    path: str,
    body: bytes | Mapping[str, Any] = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    pairs = {"host": "localhost:8501", "content-length": str(len(data)), **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [
            (name.lower().encode(), value.encode()) for name, value in pairs.items() if value
        ],
        "client": ("127.0.0.1", 1234),
        "server": ("127.0.0.1", 8501),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
    }
    parts = [data[start : start + 1000] for start in range(0, max(len(data), 1), 1000)]
    sent: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not parts:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    return Answer(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(message.get("body", b"") for message in sent[1:]),
    )
