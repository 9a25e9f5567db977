from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.http_load import make_bodies, run_load
from charseq.errors import DataError

pytestmark = pytest.mark.unit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.path == "/right" else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, *_: object) -> None:
        """Keep quiet: clients leave before they have read an answer."""


@pytest.fixture
def port() -> Iterator[int]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_bodies_have_as_many_sequences_as_asked_for() -> None:
    rows = [json.loads(body)["instances"] for body in make_bodies(3, 20)]
    assert [len(each) for each in rows] == [3] * 20
    assert all(4 <= len(text) <= 16 for each in rows for text in each)


def test_answers_of_all_clients_are_counted(port: int) -> None:
    load = run_load(port, "/right", make_bodies(2), 3, 0.5)
    assert load.rate > 10
    assert 0 < load.p50 <= load.p99 < 500


def test_a_request_that_fails_ends_the_load(port: int) -> None:
    with pytest.raises(DataError, match="a request failed"):
        run_load(port, "/wrong", make_bodies(2), 3, 0.5)
