"""The application behind a real socket: it starts, answers, stops in bounded time, and says when it cannot listen."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from config.clock import SystemClock
from config.settings import Settings
from gateway.web.application import application
from gateway.web.later import Later
from gateway.web.serving import STOP_SECONDS, ListenError, WebServer, parsed
from storage.database import Database


def test_health_is_open_and_everything_else_is_a_problem(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    answer = client.get("/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
    assert client.post("/health").status_code == 405


def test_it_serves_at_a_free_port_and_frees_it(sqlite_database: Database) -> None:
    app = application(sqlite_database, SystemClock(), Settings())
    with WebServer(app, "127.0.0.1:0") as server:
        assert httpx.get(f"{server.url}/api/v1/health").json() == {"status": "ok"}
        address = server.url.removeprefix("http://")
        with pytest.raises(ListenError, match=rf"the address {address} is in use; set METERGATE_HTTP_LISTEN"):
            WebServer(app, address).__enter__()
    with WebServer(app, address) as server:
        assert httpx.get(f"{server.url}/api/v1/health").status_code == 200


def test_what_is_served_is_made_once_and_only_when_it_is_asked_for(sqlite_database: Database) -> None:
    made: list[float] = []

    def make() -> ASGIApp:
        made.append(time.monotonic())
        time.sleep(0.2)  # so that those who come meanwhile have to wait for it
        return application(sqlite_database, SystemClock(), Settings())

    with WebServer(Later(make), "127.0.0.1:0") as server:
        assert made == []
        with ThreadPoolExecutor(8) as clients:
            answers = clients.map(lambda _: httpx.get(f"{server.url}/api/v1/health", trust_env=False), range(8))
            assert [answer.status_code for answer in answers] == [200] * 8
    assert len(made) == 1


def test_what_cannot_be_made_is_an_error_each_time(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> ASGIApp:
        raise ValueError("no such template")

    with WebServer(Later(fails), "127.0.0.1:0") as server:
        for _ in range(2):
            assert httpx.get(server.url, trust_env=False).status_code == 500
    assert caplog.text.count("no such template") >= 2


def test_a_gateway_that_nobody_looks_at_has_not_imported_what_it_would_show() -> None:
    """These are a quarter of its memory, and longer to import than all else that it needs."""
    needs = "gateway.cli.running, gateway.app, gateway.web.serving, gateway.web.later"
    shows = {"fastapi", "jinja2", "babel", "facturx", "typst", "segno", "xlsxwriter", "pypdf"}
    assert shows.isdisjoint(imported(needs))
    assert {"facturx", "typst", "segno", "xlsxwriter", "pypdf"}.isdisjoint(imported("gateway.web.application"))


def imported(modules: str) -> set[str]:
    code = f"import sys, {modules}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_a_request_that_hangs_does_not_keep_the_process(sqlite_database: Database) -> None:
    entered = threading.Event()
    inner = application(sqlite_database, SystemClock(), Settings())

    async def hangs(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] == "http":
            entered.set()
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await inner(scope, receive, send)

    began = time.monotonic()
    with WebServer(hangs, "127.0.0.1:0") as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as half:
            half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
            assert entered.wait(10)
            server.__exit__()
    assert time.monotonic() - began < STOP_SECONDS + 10


@pytest.mark.parametrize("address", ["", "8600", ":8600", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:http"])
def test_an_address_that_is_none_gets_a_sentence(address: str) -> None:
    with pytest.raises(ValueError, match="write host:port"):
        parsed(address)


def test_an_address_of_either_family_is_read() -> None:
    assert parsed("127.0.0.1:8600") == ("127.0.0.1", 8600)
    assert parsed("[::1]:0") == ("::1", 0)
