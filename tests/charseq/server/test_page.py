"""The page at `/`: its files, and what it does in a browser."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from charseq.server.gate import PAGE_PATHS
from charseq.server.model.card import make_card
from tests.support.asgi import InMemoryServer
from tests.support.browser import NEEDS_CHROMIUM, browser
from tests.support.manifests import toy_manifest
from tests.support.paths import ROOT
from tests.support.serving import Server, started
from tests.support.versioned_model import (
    add_version,
    make_registry,
    point,
    probabilities,
    save_versioned_model,
)

STATIC = ROOT / "charseq" / "server" / "page" / "static"
TOKEN = "0123456789abcdef"
HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.mark.unit
def test_the_page_is_open_and_may_load_nothing_from_elsewhere() -> None:
    server = InMemoryServer(token=TOKEN.encode())
    kinds = {}
    for path in sorted(PAGE_PATHS):
        answer = server.request("GET", path)
        assert answer.status == 200
        assert answer.headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "x-model-version" not in answer.headers
        kinds[path] = answer.headers["content-type"]
    assert kinds == {
        "/": "text/html; charset=utf-8",
        "/page.js": "text/javascript; charset=utf-8",
        "/style.css": "text/css; charset=utf-8",
    }


@pytest.mark.unit
def test_the_page_is_for_hosts_of_this_server_only() -> None:
    answer = InMemoryServer().request("GET", "/", b"", {"host": "evil.example.org"})
    assert answer.status == 403


@pytest.mark.unit
def test_what_the_page_asks_needs_the_token() -> None:
    server = InMemoryServer(token=TOKEN.encode())
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert server.request("GET", "/card").status == 401
    assert server.request("GET", "/card", b"", bearer).status == 200


@pytest.mark.unit
def test_the_page_names_no_other_server_and_writes_no_html() -> None:
    text = "".join(path.read_text() for path in STATIC.iterdir())
    assert not re.findall(r"https?:|//\w+\.|@import|url\(", text)
    script = (STATIC / "page.js").read_text()
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacent|\beval\b|Function\(|document\.write|localStorage",
        script,
    )
    html = (STATIC / "index.html").read_text()
    assert not re.findall(r"<style|style=|\son\w+=|<script>", html)


@pytest.mark.unit
def test_the_card_says_what_is_served() -> None:
    answer = InMemoryServer(max_body_bytes=3000).request("GET", "/card")
    assert answer.headers["x-model-version"] == "3"
    assert answer.json == {
        "name": "charseq",
        "version": 3,
        "labels": ["a", "b", "é"],
        "train_rows": 7,
        "answers": {"influence": True, "coverage": True, "top_k": True},
        "limits": {"rows": 50, "characters": 40, "body_bytes": 3000},
    }
    assert InMemoryServer(is_loaded=False).request("GET", "/card").status == 503


@pytest.mark.unit
def test_a_card_has_what_the_registry_holds() -> None:
    card = {
        "labels": ["x", "y"],
        "max_length": 3,
        "alphabet_size": 2,
        "dataset": "0123456789abcdef" * 4,
        "train_rows": 2,
        "promoted": None,
        "evaluation": None,
    }
    assert make_card(toy_manifest(), {}) == card
    scores = {"rows": 9, "accuracy": 0.75, "loss": 0.5, "other": 1}
    entry = {
        "promoted": "2026-01-02T03:04:05+00:00",
        "run": {"directory": "/home/someone/run"},
        "evaluation": {"split": "test", "data": "/home/someone/data", "candidate": scores},
    }
    assert make_card(toy_manifest(), entry) == {
        **card,
        "promoted": "2026-01-02T03:04:05+00:00",
        "evaluation": {"split": "test", "rows": 9, "accuracy": 0.75, "loss": 0.5},
    }


class Page:
    """The page in a browser, as a person sees it."""

    def __init__(self, driver: Chrome, server: Server) -> None:
        self.driver = driver
        self.driver.get(f"http://localhost:{server.port}/")

    def find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        return [each.text for each in self.driver.find_elements(By.CSS_SELECTOR, selector)]

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def write(self, text: str) -> None:
        """Write a text by the keyboard, in place of what was there."""
        self.find("#sequences").send_keys(Keys.CONTROL, "a")
        self.find("#sequences").send_keys(text or Keys.DELETE)

    def paste(self, text: str) -> None:
        """Have the browser insert a text at once, as a paste does."""
        self.find("#sequences").send_keys(Keys.CONTROL, "a")
        self.driver.execute_cdp_cmd("Input.insertText", {"text": text})

    def drop(self, name: str, data: bytes) -> None:
        """Drop a file onto the page."""
        self.run(
            "const data = new DataTransfer();"
            "data.items.add(new File([Uint8Array.from(arguments[1])], arguments[0]));"
            "for (const kind of ['dragover', 'drop']) document.body.dispatchEvent("
            "new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));",
            name,
            list(data),
        )

    def wait(self, selector: str, expected: str, seconds: float = 30) -> None:
        """Wait until an element has a text."""
        deadline = time.monotonic() + seconds
        found = None
        while found != expected:
            assert time.monotonic() < deadline, (found, expected)
            time.sleep(0.05)
            with contextlib.suppress(StaleElementReferenceException):  # It is being replaced.
                found = self.find(selector).text


def saying(text: str, version: int) -> str:
    """Return what the page says of one sequence."""
    of_all = probabilities(text, version)
    label = ("left", "middle", "right")[of_all.index(max(of_all))]
    return f"{label}, {100 * max(of_all):.1f} %, by version {version}"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SavedModels of two versions, `1` and `2`, with their entries."""
    folder = tmp_path_factory.mktemp("models")
    for version in (1, 2):
        directory = save_versioned_model(folder / str(version), version)
        path = directory / "assets.extra" / "entry.json"
        scores = {"rows": 1234, "accuracy": 0.5 + version / 10, "loss": 0.75}
        entry = {
            **json.loads(path.read_text()),
            "promoted": "2026-01-02T03:04:05+00:00",
            "evaluation": {"split": "test", "candidate": scores},
        }
        path.write_text(json.dumps(entry))
    return folder


@pytest.fixture
def registry(models: Path, tmp_path: Path) -> Path:
    """A registry whose current version is 1."""
    return make_registry(tmp_path / "registry", models / "1")


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Chrome]:
    (tmp_path / "downloads").mkdir()
    with browser(tmp_path / "downloads") as driver:
        yield driver


@NEEDS_CHROMIUM
def test_the_page_answers_what_is_typed_pasted_and_dropped(
    models: Path, registry: Path, tmp_path: Path, driver: Chrome
) -> None:
    with started(registry, tmp_path / "server", "--max-characters", "2000") as server:
        server.wait_until_serving()
        page = Page(driver, server)
        check_the_card(page)
        check_typing(page)
        check_hostile_sequences(page)
        check_pasting(page)
        check_download(page, tmp_path / "downloads")
        check_files(page)
        check_errors(page)
        check_layout(page)
        check_promotion(page, server, models, registry)
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
        check_a_server_that_is_gone(page, server)


def check_the_card(page: Page) -> None:
    page.wait("#version", "Version 1")
    names = ["Labels", "Trained on", "Dataset", "Reads", "Accuracy", "Log loss", "Promoted"]
    assert page.texts("dt") == names
    values = page.texts("dd")
    assert values[:2] == ["3: left, middle, right", "2 rows"]
    assert values[4:6] == ["0.6000 on 1,234 test rows", "0.7500"]
    assert values[6] == "2026-01-02 03:04:05 UTC"


def check_typing(page: Page) -> None:
    assert page.run("return document.activeElement.id") == "sequences"
    page.write("abc")
    page.wait("#status", saying("abc", 1))
    assert page.texts("#rows td")[0] == "abc"
    # Influences of 0.25, 0.5 and 0.75: a third, two thirds and all of the greatest.
    marks = page.driver.find_elements(By.CSS_SELECTOR, "#rows .text b")
    assert [mark.get_attribute("class") for mark in marks] == ["for2", "for3", "for4"]
    assert "underline" in marks[2].value_of_css_property("text-decoration")
    page.find("#sequences").send_keys("\nah")
    page.wait("#status", "2 sequences answered by version 1")
    assert page.texts("#rows td:first-child") == ["abc", "ah"]
    page.write("aé\n ")
    page.wait("#status", "2 sequences answered by version 1, 1 without an answer")
    page.write("abcdefgh")
    page.wait("#status", saying("abcdef", 1))
    assert page.texts("#rows td:first-child") == ["abcdef…"]
    of_all = sorted((round(100 * each, 1) for each in probabilities("abcdef", 1)), reverse=True)
    assert page.texts("#top .number") == [f"{each:.1f} %" for each in of_all]
    widths = page.run(
        "return [...document.querySelectorAll('#top .bar i')].map(i => i.style.width)"
    )
    assert widths == [f"{each:g}%" for each in of_all]
    page.write("")
    page.wait("#status", "")
    assert not page.find("#answers").is_displayed()


def check_hostile_sequences(page: Page) -> None:
    page.paste(f"{HOSTILE}\n<script>alert(1)</script>\na\u202eb")
    page.wait("#status", "3 sequences answered by version 1")
    # The model reads six characters.
    shown = ["<img s…", "<scrip…", "a\\u{202e}b"]
    assert page.texts("#rows td:first-child") == shown
    assert page.driver.find_elements(By.CSS_SELECTOR, "main img, main script") == []
    page.drop(f"{HOSTILE}.csv", f'sequence\n"{HOSTILE.replace(chr(34), chr(34) * 2)}"\n'.encode())
    page.wait("#opened-name", f"{HOSTILE}.csv")
    page.wait("#status", saying("<img s", 1))
    assert page.driver.title == "charseq"
    page.find("#close").click()
    page.wait("#status", "3 sequences answered by version 1")


def check_pasting(page: Page) -> None:
    rows = [f"{'abcdefgh'[number % 8]}{'abcdefgh'[number // 8 % 8]}" for number in range(1000)]
    page.paste("\n".join(rows))
    page.wait("#status", "1,000 sequences answered by version 1")
    assert page.texts("#rows td:first-child") == rows[:200]
    assert page.find("#more").text == "The first 200 of 1,000 sequences; the CSV has all of them."


def check_download(page: Page, downloads: Path) -> None:
    page.find("#download").click()
    path = downloads / "charseq-1.csv"
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, list(downloads.iterdir())
        time.sleep(0.05)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1000
    assert (rows[999]["sequence"], rows[999]["version"]) == ("he", "1")
    expected = max(probabilities("he", 1))
    assert float(rows[999]["probability"]) == pytest.approx(expected, abs=2e-6)
    assert len(json.loads(rows[999]["set"])) == 2


def check_files(page: Page) -> None:
    page.drop("rows.csv", '\ufeffid,Sequence\r\n1,"a,b"\r\n2,"c""d"\r\n3,\r\n'.encode())
    page.wait("#status", "3 sequences answered by version 1, 1 without an answer")
    assert page.texts("#rows td:first-child") == ["a,b", 'c"d', ""]
    page.drop("rows.csv", b"ab,1\ncd,2\n")
    page.wait("#status", "2 sequences answered by version 1")
    assert page.texts("#rows td:first-child") == ["ab", "cd"]
    page.drop("lines.txt", b"a,b\n\nc")
    page.wait("#rows tr:nth-child(2) td", "c")
    assert page.texts("#rows td:first-child") == ["a,b", "c"]
    page.write("abc")  # In place of the file.
    page.wait("#status", saying("abc", 1))
    assert not page.find("#opened").is_displayed()


def check_errors(page: Page) -> None:
    page.write("fail")
    refusal = "The server refused it (400): version 1: the model fails: "
    wait_until(lambda: page.find("#error").text.startswith(refusal))
    assert "no such sequence, please" in page.find("#error").text
    assert not page.find("#answers").is_displayed()
    page.paste("a\n" + "b" * 2001)
    page.wait("#error", "Sequence 2 has 2,001 characters; the server takes 2,000.")
    page.drop("latin.csv", b"sequence\n\xe9\n")
    page.wait("#error", "latin.csv is not in UTF-8.")
    page.drop("open.csv", b'sequence\n"a\n')
    page.wait("#error", "A quotation mark of the CSV is never closed.")
    page.write("abc")
    page.wait("#status", saying("abc", 1))
    assert not page.find("#error").is_displayed()
    # Chromium logs the answer of 400, too.
    errors = [entry["message"] for entry in page.driver.get_log("browser")]
    assert [message for message in errors if "status of 400" not in message] == []


def check_layout(page: Page) -> None:
    page.paste("abc\n" + "abcdefgh" * 100)
    page.wait("#status", "2 sequences answered by version 1")
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.run("return [innerWidth, document.documentElement.scrollWidth]") == [390, 390]
    backgrounds = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        backgrounds.append(page.find("body").value_of_css_property("background-color"))
    assert backgrounds == ["rgba(255, 255, 255, 1)", "rgba(20, 23, 26, 1)"]
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    unnamed = page.run(
        "return [...document.querySelectorAll('input, textarea')]"
        ".filter(each => !each.labels.length).map(each => each.id)"
    )
    assert unnamed == []


def check_promotion(page: Page, server: Server, models: Path, registry: Path) -> None:
    page.write("abc")
    page.wait("#status", saying("abc", 1))
    add_version(registry, 2, models / "2")
    point(registry, 2)
    server.wait_for_event("serving", 2)
    page.wait("#version", "Version 2")  # By itself.
    page.wait("#status", saying("abc", 2))
    assert "0.7000 on 1,234 test rows" in page.texts("dd")
    # A page that is not visible does not look by itself.
    page.run("Object.defineProperty(document, 'hidden', {value: true})")
    point(registry, 1)
    server.wait_for_event("ended", 2)
    page.find("#sequences").send_keys("d")  # Its answer is of another version than the card.
    page.wait("#status", saying("abcd", 1))
    page.wait("#version", "Version 1")


def check_a_server_that_is_gone(page: Page, server: Server) -> None:
    server.process.kill()
    server.process.wait()
    page.write("ab")
    page.wait("#error", "The server cannot be reached.")


@NEEDS_CHROMIUM
def test_the_page_asks_for_the_token(registry: Path, tmp_path: Path, driver: Chrome) -> None:
    token = {"CHARSEQ_TOKEN": TOKEN}
    with started(registry, tmp_path / "server", environment=token) as server:
        server.wait_until_serving()
        page = Page(driver, server)
        wait_until(lambda: page.run("return document.activeElement.id") == "token")
        page.find("#token").send_keys("wrong", Keys.ENTER)
        page.wait("#token-note", "The server does not know this token.")
        page.find("#token").send_keys(TOKEN, Keys.ENTER)
        page.wait("#version", "Version 1")
        assert not page.find("#token-form").is_displayed()
        page.write("abc")
        page.wait("#status", saying("abc", 1))
        assert page.run("return [localStorage.length, sessionStorage.length, document.cookie]") == [
            *(0, 0, "")
        ]


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
