"""Who is let in, and what is written down about it."""

from __future__ import annotations

import pytest

from charseq.server.gate import PAGE_PATHS, known_hosts
from tests.support.asgi import InMemoryServer

pytestmark = pytest.mark.unit

PREDICT = "/v1/models/charseq:predict"
ONE = {"instances": ["ab"]}
TOKEN = "0123456789abcdef"
OPEN = ("/healthz", "/readyz", "/metrics")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8501", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8501", 200),
        ("models.example.org", 200),
        ("evil.example.org", 403),
        ("localhost.evil.example.org", 403),
        ("localhost:8501:evil", 403),
        ("127.0.0.1.evil.example.org:8501", 403),
        ("", 400),
    ],
)
def test_only_requests_for_this_server_are_answered(host: str, status: int) -> None:
    server = InMemoryServer(hosts=["models.example.org"])
    assert server.request("POST", PREDICT, ONE, {"host": host}).status == status


def test_the_address_that_is_listened_to_is_a_known_host_unless_it_stands_for_all() -> None:
    assert known_hosts("192.0.2.7", ["A.example"]) >= {"192.0.2.7", "a.example", "localhost"}
    assert "[2001:db8::1]" in known_hosts("2001:db8::1", [])
    assert known_hosts("0.0.0.0", []) == known_hosts("::", []) == known_hosts("127.0.0.1", [])


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}0", 401),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
        ("Bearer ", 401),
        ("Bearer \xe9", 401),
        ("", 401),
    ],
)
def test_a_token_is_needed_where_there_is_one(header: str, status: int) -> None:
    server = InMemoryServer(token=TOKEN.encode())
    answer = server.request("POST", PREDICT, ONE, {"authorization": header})
    assert answer.status == status
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


def test_every_path_but_the_open_ones_and_the_page_needs_the_token() -> None:
    server = InMemoryServer(token=TOKEN.encode())
    paths = (
        "/ask",
        "/card",
        "/page.js/",
        "/openapi.json",
        "/v1/models/charseq",
        "/metrics/",
        "/healthz/x",
    )
    assert [server.request("GET", path).status for path in paths] == [401] * len(paths)
    probe = {"host": "10.1.2.3:8501"}
    assert [server.request("GET", path, b"", probe).status for path in OPEN] == [200] * 3
    assert {server.request("GET", path).status for path in PAGE_PATHS} == {200}


def test_answers_name_the_version() -> None:
    server = InMemoryServer()
    requests = [
        ("POST", PREDICT, ONE),
        ("POST", "/ask", {"sequences": ["ab"]}),
        ("POST", PREDICT, b"{}"),
        ("GET", "/v1/models/charseq/metadata"),
        ("GET", "/healthz"),
    ]
    versions = [answer.headers.get("x-model-version") for answer in server.requests(requests)]
    assert versions == ["3", "3", "3", "3", None]


def test_pages_of_other_origins_may_read_nothing() -> None:
    answer = InMemoryServer().request("POST", PREDICT, ONE, {"origin": "https://example.org"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    preflight = {"origin": "https://example.org", "access-control-request-method": "POST"}
    assert InMemoryServer().request("OPTIONS", PREDICT, b"", preflight).status == 400


def test_pages_of_an_allowed_origin_may_read_answers_and_errors() -> None:
    server = InMemoryServer(token=TOKEN.encode(), origins=["https://example.org"])
    page, other = {"origin": "https://example.org"}, {"origin": "https://evil.example.org"}
    assert server.request("POST", PREDICT, ONE, other).headers.get("vary") is not None
    for headers, allowed in ((page, "https://example.org"), (other, None)):
        for token in ({}, {"authorization": f"Bearer {TOKEN}"}):
            answer = server.request("POST", PREDICT, ONE, {**headers, **token})
            assert answer.status == (200 if token else 401)
            assert answer.headers.get("access-control-allow-origin") == allowed
    preflight = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    assert server.request("OPTIONS", PREDICT, b"", {**page, **preflight}).status == 200
    assert server.request("OPTIONS", PREDICT, b"", {**other, **preflight}).status == 400


def test_the_log_has_a_line_for_each_request_without_its_sequences() -> None:
    server = InMemoryServer()
    server.requests([("POST", PREDICT, {"instances": ["secret"]}), ("GET", "/healthz")])
    (line,) = server.log
    assert line.pop("ms") >= 0
    assert line == {
        "method": "POST",
        "path": PREDICT,
        "status": 200,
        "client": "127.0.0.1",
        "version": 3,
        "rows": 1,
    }


def test_the_log_has_sequences_if_asked_for() -> None:
    server = InMemoryServer(log_sequences=True)
    server.request("POST", PREDICT, {"instances": ["ab", {"b64": "/w=="}]})
    server.request("POST", "/ask", {"sequences": ["c"]})
    assert [line["sequences"] for line in server.log] == [["ab", "\\xff"], ["c"]]


def test_requests_rows_labels_and_unknown_characters_are_counted() -> None:
    server = InMemoryServer()
    server.request("POST", PREDICT, {"instances": ["ab", "c"]})
    server.request("POST", PREDICT, b"")
    page = server.request("GET", "/metrics").body.decode().splitlines()
    path = 'path="/v1/models/NAME:predict"'
    for line in (
        f'charseq_requests_total{{{path},status="200"}} 1.0',
        f'charseq_requests_total{{{path},status="400"}} 1.0',
        f"charseq_request_seconds_count{{{path}}} 2.0",
        'charseq_batch_rows_bucket{le="1.0"} 0.0',
        'charseq_batch_rows_bucket{le="2.0"} 1.0',
        "charseq_rows_total 2.0",
        'charseq_labels_total{label="a"} 2.0',
        "charseq_characters_total 9.0",
        "charseq_unknown_characters_total 3.0",
        "charseq_strange_rows_total 1.0",
    ):
        assert line in page
