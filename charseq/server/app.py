"""The paths of the server, and what answers them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from charseq.models.saved_model import COVERAGE, EXPLAIN, PREDICT_SET, SEQUENCE, TOP_K
from charseq.server.errors import RequestError, come_again, invalid
from charseq.server.gate import Access, BodyReader, Gate, Notes, notes_of
from charseq.server.log import Log
from charseq.server.metrics import CONTENT_TYPE, Metrics
from charseq.server.model.messages import ANSWER, Array, Call
from charseq.server.page.files import page_routes
from charseq.server.rest.calls import INFLUENCE, Limits, ask_call, find_signature, predict_call
from charseq.server.rest.description import describe_api
from charseq.server.rest.paths import ModelPath, is_of_serving, parse_path
from charseq.server.rest.predict_answer import error_body, metadata, not_found, to_body
from charseq.server.rest.predict_request import (
    parse_json,
    parse_predict,
    show_value,
    signature_name,
)
from charseq.server.versions import Version, Versions

_JSON = "application/json"
_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
_EXAMPLES = "examples"
# Bodies of more bytes are parsed beside the other requests, not before them.
_LARGE = 1 << 17
# Answers of more rows, times outputs, are written there, too.
_LARGE_ROWS = 2048


class Settings(NamedTuple):
    """What answers depend on besides the model.

    name: of the model. origins: of pages that may read answers.
    """

    name: str
    limits: Limits
    max_body_bytes: int
    access: Access
    origins: tuple[str, ...]
    log_sequences: bool


class Api:
    """The answers to requests.

    Args:
        versions: of the model.
        settings: what else they depend on.
        metrics: the content of /metrics.
    """

    def __init__(self, versions: Versions, settings: Settings, metrics: Metrics) -> None:
        self._versions = versions
        self._settings = settings
        self._metrics = metrics
        self._bodies = BodyReader(settings.max_body_bytes)
        self._description = orjson.dumps(describe_api(settings.name, settings.limits))

    def routes(self) -> list[Route]:
        """Return the paths."""
        return [
            Route("/v1/{path:path}", self.serving, methods=_METHODS),  # First: nearly all requests.
            Route("/healthz", self.health),
            Route("/readyz", self.readiness),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.description),
            Route("/ask", self.ask, methods=_METHODS),
            Route("/card", self.card),
            *page_routes(),
            Route("/{path:path}", self.serving, methods=_METHODS),
        ]

    async def health(self, request: Request) -> Response:
        """Answer that the process lives."""
        return _text(request, "/healthz", 200, b"ok\n")

    async def readiness(self, request: Request) -> Response:
        """Answer whether a model is there."""
        current = self._versions.current
        if current is None or current.process.has_ended.is_set():
            return _text(request, "/readyz", 503, b"loading\n")
        return _text(request, "/readyz", 200, b"ready\n")

    async def metrics(self, request: Request) -> Response:
        """Answer with the metrics."""
        notes_of(request.scope).route = "/metrics"
        return Response(self._metrics.page(), media_type=CONTENT_TYPE)

    async def description(self, request: Request) -> Response:
        """Answer with the description of these paths."""
        notes_of(request.scope).route = "/openapi.json"
        return Response(self._description, media_type=_JSON)

    async def ask(self, request: Request) -> Response:
        """Answer sequences as `charseq ask --json` does, in a list."""
        notes = notes_of(request.scope)
        notes.route = "/ask"
        if request.method != "POST":
            raise RequestError(405, "expected POST", {"Allow": "POST"})
        with self._current().in_use() as version:
            notes.version = version.number

            def parse(body: bytes) -> Call:
                content = parse_json(body)
                return ask_call(content, version.ready, self._settings.limits)

            _, outputs = await self._answer(request, version, notes, parse)
        return Response(f"[{','.join(outputs[ANSWER].tolist())}]", media_type=_JSON)

    async def card(self, request: Request) -> Response:
        """Answer what is known of the current version, and what may be asked."""
        notes = notes_of(request.scope)
        notes.route = "/card"
        version = self._current()
        notes.version = version.number
        limits = self._settings.limits
        content = {
            "name": self._settings.name,
            "version": version.number,
            **version.ready.card,
            "answers": {
                INFLUENCE: EXPLAIN in version.ready.signatures,
                COVERAGE: PREDICT_SET in version.ready.signatures,
                TOP_K: TOP_K in version.ready.signatures,
            },
            "limits": {
                "rows": limits.rows,
                "characters": limits.characters,
                "body_bytes": self._settings.max_body_bytes,
            },
        }
        return Response(
            orjson.dumps(content), media_type=_JSON, headers={"Cache-Control": "no-store"}
        )

    async def serving(self, request: Request) -> Response:
        """Answer as TensorFlow Serving does."""
        path: str = request.scope["path"]
        if not is_of_serving(path):
            raise RequestError(404, f"no such path: {path}")
        notes = notes_of(request.scope)
        notes.route = "/v1/"
        asked = parse_path(request.method, path)
        notes.route = f"/v1/models/NAME:{asked.verb}"
        if asked.verb == "status":
            return self._status(asked)
        with self._find(asked).in_use() as version:
            notes.version = version.number
            if asked.verb == "metadata":
                content = metadata(self._settings.name, version.number, version.ready.signature_def)
                return Response(orjson.dumps(content), media_type=_JSON)
            if asked.verb == "predict":
                return await self._predict(request, version, notes)
            return await self._refuse_examples(request, version, asked.verb)

    async def _predict(self, request: Request, version: Version, notes: Notes) -> Response:
        by_row = True

        def parse(body: bytes) -> Call:
            nonlocal by_row
            parsed = parse_predict(
                parse_json(body), lambda name: find_signature(version.ready, name)
            )
            by_row = parsed.by_row
            return predict_call(parsed, version.ready, self._settings.limits)

        rows, outputs = await self._answer(request, version, notes, parse)
        if rows * len(outputs) > _LARGE_ROWS:
            body = await asyncio.to_thread(to_body, outputs, by_row=by_row)
        else:
            body = to_body(outputs, by_row=by_row)
        return Response(body, media_type=_JSON)

    async def _refuse_examples(self, request: Request, version: Version, verb: str) -> Response:
        """Refuse a request to classify or regress, for which no signature is made."""

        async def use(body: bytes) -> Response:
            content = parse_json(body)
            name = signature_name(content)
            if not isinstance(content.get(_EXAMPLES), list):
                raise invalid(
                    f"JSON Value: {show_value(content)} When method is classify, key "
                    f"'{_EXAMPLES}' is expected and was not found"
                )
            if name not in version.ready.signatures:
                raise invalid(f"No signature was found with the name: {name}")
            kind = {"classify": "classification", "regress": "regression"}[verb]
            method = version.ready.signature_def[name]["method_name"]
            raise invalid(
                f"Expected {kind} signature method_name to be tensorflow/serving/{verb}. Was: "
                f"{method}"
            )

        return await self._bodies.read(request.scope, request.receive, use)

    async def _answer(
        self, request: Request, version: Version, notes: Notes, parse: Callable[[bytes], Call]
    ) -> tuple[int, dict[str, Array]]:
        """Return the rows of a request, and what the model gives for them."""

        async def use(body: bytes) -> tuple[int, dict[str, Array]]:
            call = await asyncio.to_thread(parse, body) if len(body) > _LARGE else parse(body)
            notes.rows = call.rows
            if self._settings.log_sequences and SEQUENCE in call.columns:
                notes.sequences = _readable(call.columns[SEQUENCE])
            return call.rows, await version.batcher.compute(call)

        return await self._bodies.read(request.scope, request.receive, use)

    def _current(self) -> Version:
        if self._versions.current is None:
            raise come_again(str(not_found(self._settings.name, None)))
        return self._versions.current

    def _find(self, asked: ModelPath) -> Version:
        if asked.name != self._settings.name:
            raise not_found(asked.name, asked.version)
        version = self._current()
        if asked.version not in (None, version.number):
            raise not_found(asked.name, asked.version)
        return version

    def _status(self, asked: ModelPath) -> Response:
        states = self._versions.states if asked.name == self._settings.name else {}
        if asked.version is None:
            if not states:
                raise RequestError(404, f"Could not find any versions of model {asked.name}")
            listed = [states[number] for number in sorted(states, reverse=True)]
        else:
            if asked.version not in states:
                raise RequestError(
                    404, f"Could not find version {asked.version} of model {asked.name}"
                )
            listed = [states[asked.version]]
        return Response(orjson.dumps({"model_version_status": listed}), media_type=_JSON)


def _text(request: Request, route: str, status: int, body: bytes) -> Response:
    notes_of(request.scope).route = route
    return Response(body, status, media_type="text/plain")


def _readable(texts: Array) -> list[str]:
    return [text.decode("utf-8", "backslashreplace") for text in texts.tolist()]


async def _on_request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return Response(error_body(str(error)), error.status, dict(error.headers), _JSON)


async def _on_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return Response(error_body(str(error.detail)), error.status_code, headers, _JSON)


def create_app(versions: Versions, settings: Settings, metrics: Metrics, log: Log) -> ASGIApp:
    """Return the application.

    Args:
        versions: of the model; it is told how many requests there are.
        settings: who is let in, limits and the like.
        metrics: counts requests.
        log: gets a line for each.
    """
    handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        RequestError: _on_request_error,
        HTTPException: _on_http_error,
    }
    routes = Api(versions, settings, metrics).routes()
    inner: ASGIApp = Starlette(routes=routes, exception_handlers=handlers)
    gate = Gate(inner, settings.access, metrics, log)
    versions.requests_under_way = lambda: gate.under_way
    if not settings.origins:
        return gate
    return CORSMiddleware(
        gate,
        allow_origins=settings.origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["X-Model-Version"],
    )
