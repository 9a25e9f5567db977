"""A runner or a job server that ends before its job does."""

from __future__ import annotations

import threading

import grpc
import pytest

from charseq.errors import DataError
from pipeline.runtime.job import _lost_worker_as_error, to_user_error

pytestmark = pytest.mark.unit


class Lost(grpc.RpcError):
    def __init__(self, status: grpc.StatusCode) -> None:
        self.status = status

    def code(self) -> grpc.StatusCode:
        return self.status

    def details(self) -> str:
        return "Socket closed"


def test_it_takes_one_sentence() -> None:
    error = to_user_error(Lost(grpc.StatusCode.UNAVAILABLE))
    assert isinstance(error, DataError)
    assert str(error) == (
        "the runner or its job server no longer answers (Socket closed); nothing was published, "
        "and the same command runs again"
    )


def test_what_else_it_says_is_no_error_of_the_user() -> None:
    error = Lost(grpc.StatusCode.INTERNAL)
    assert to_user_error(error) is error


def test_threads_of_beam_that_lost_it_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def lose() -> None:
        raise Lost(grpc.StatusCode.UNAVAILABLE)

    with _lost_worker_as_error():
        thread = threading.Thread(target=lose)
        thread.start()
        thread.join()
    assert capsys.readouterr().err == ""
