"""Webhooks against a real HTTP server: signed, told once it is committed, tried again, switched off with a reason."""

import json
import runpy
import socket
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from billing import webhooks as declared
from billing.access import Role
from billing.core.errors import Invalid
from config.clock import SystemClock, VirtualClock
from config.settings import Settings
from gateway.telling import resolved, told
from gateway.webhooks import ATTEMPTS, Deliverer
from storage.database import Database
from storage.telling import EVENTS
from storage.webhooks import Due
from tests import brokers
from tests.api.conftest import SERVICE, Speaking
from tests.api.test_bookkeeping import NUMBER, closed
from tests.brokers import eventually

APRIL = datetime(2022, 4, 20, 8, tzinfo=UTC)
INSIDE = Settings(webhook_private_addresses=True)


class Receiver:
    """A receiver that answers with the statuses it is given, the last one for good, and keeps what it was told."""

    def __init__(self) -> None:
        self.statuses = [204]
        self.got: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
                status = outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0]
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?a=b"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def told(self) -> list[Any]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    it = Receiver()
    it.thread.start()
    yield it
    it.server.shutdown()
    it.thread.join()
    it.server.server_close()


@pytest.fixture
def settings() -> Settings:
    return INSIDE


@pytest.fixture
def deliverer(database: Database, clock: VirtualClock) -> Deliverer:
    return Deliverer(database, clock, INSIDE)


@pytest.fixture
def verified(tmp_path: Path) -> Callable[[str, dict[str, str], bytes], bool]:
    """The receiver's code of docs/how-to/webhooks.md, as it stands there."""
    page = (brokers.ROOT / "docs" / "how-to" / "webhooks.md").read_text(encoding="utf-8")
    code = page.split("In Python:\n\n")[1].split("\n\n`body` is")[0]
    (tmp_path / "receiver.py").write_text(textwrap.dedent(code), encoding="utf-8")
    found: Callable[[str, dict[str, str], bytes], bool] = runpy.run_path(str(tmp_path / "receiver.py"))["verified"]
    return found


def declare(speaking: Speaking, receiver: Receiver, *events: str) -> tuple[httpx.Client, Any]:
    client = speaking(Role.ADMINISTRATOR)
    made = client.post("/webhooks", json={"url": receiver.url, "events": events or list(EVENTS)})
    assert made.status_code == 201, made.text
    return client, made.json()


def test_each_event_is_told_signed_after_it_is_committed(
    speaking: Speaking,
    receiver: Receiver,
    deliverer: Deliverer,
    clock: VirtualClock,
    verified: Callable[[str, dict[str, str], bytes], bool],
) -> None:
    client, hook = declare(speaking, receiver)
    client.post("/objects", json={"reference": "IOT_A", **SERVICE, "activate": True})
    client.post("/objects/IOT_A/suspend", json={"dry_run": True})
    client.post("/objects/IOT_A/suspend", json={})
    usage = {"object": "IOT_A", "metric": "usage", "value": "12", "at": "2022-04-14T10:00:00Z"}
    client.post("/usage", json={"records": [usage]})
    client.post("/close/dry-run", json={"until": "2022-03-31"})
    closed(client, clock)
    client.post(f"/invoices/{NUMBER}/payments", json={"amount": "36", "reference": "bank-1"})
    assert deliverer.look()
    assert not deliverer.look()
    told = receiver.told()
    assert [it["type"] for it in told] == ["object.activated", "object.suspended", "invoice.issued", "payment.recorded"]
    assert (told[0]["data"]["object"], told[0]["data"]["contract_item"]["last_day"]) == ("IOT_A", "2023-03-31")
    assert (told[2]["data"]["number"], told[2]["data"]["total"]) == (NUMBER, "36.00")
    assert (told[3]["data"]["amount"], told[3]["data"]["reference"]) == ("36.00", "bank-1")
    assert all(verified(hook["secret"], headers, body) for headers, body in receiver.got)
    assert not verified(hook["secret"], receiver.got[0][0], receiver.got[1][1])
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 4
    page = client.get(f"/webhooks/{hook['id']}/deliveries", params={"limit": 3}).json()
    newest = page["items"][0]
    assert (newest["event"], newest["status"], newest["answer"]) == ("payment.recorded", "delivered", "204")
    rest = client.get(f"/webhooks/{hook['id']}/deliveries", params={"cursor": page["next_cursor"]}).json()
    assert [it["event"] for it in rest["items"]] == ["object.activated"]


def test_a_webhook_is_told_only_what_it_wants_and_nothing_once_removed(
    speaking: Speaking, receiver: Receiver, deliverer: Deliverer
) -> None:
    client, hook = declare(speaking, receiver, "object.suspended")
    client.post("/objects", json={"reference": "IOT_A", **SERVICE, "activate": True})
    assert not deliverer.look()
    client.post("/objects/IOT_A/suspend", json={})
    assert client.delete(f"/webhooks/{hook['id']}").status_code == 204
    assert not deliverer.look()
    assert client.get("/webhooks").json() == []
    assert client.delete(f"/webhooks/{hook['id']}").status_code == 404
    assert receiver.got == []


def test_a_failure_is_tried_again_later_and_later_with_the_same_id(
    speaking: Speaking, receiver: Receiver, deliverer: Deliverer, clock: VirtualClock
) -> None:
    client, hook = declare(speaking, receiver, "object.activated")
    receiver.statuses = [500, 302, 503, 200]
    client.post("/objects", json={"reference": "IOT_A", **SERVICE, "activate": True})
    for seconds in (5, 20, 80):
        assert deliverer.look()
        assert not deliverer.look()
        clock.advance(timedelta(seconds=seconds * 0.49))
        assert not deliverer.look()
        clock.advance(timedelta(seconds=seconds * 0.52))
    (waiting,) = client.get(f"/webhooks/{hook['id']}/deliveries").json()["items"]
    assert (waiting["status"], waiting["attempts"], waiting["answer"]) == ("waiting", 3, "503")
    assert client.get("/webhooks").json()[0]["failing_since"] is not None
    assert deliverer.look()
    assert client.get("/webhooks").json()[0]["failing_since"] is None
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in receiver.got}) == 4


def test_after_days_of_failure_it_is_switched_off_with_a_sentence_and_can_be_switched_on(
    speaking: Speaking, receiver: Receiver, deliverer: Deliverer, clock: VirtualClock
) -> None:
    client, hook = declare(speaking, receiver, "object.activated")
    receiver.statuses = [500]
    client.post("/objects", json={"reference": "IOT_A", **SERVICE, "activate": True})
    assert deliverer.look()
    clock.advance(timedelta(days=5))
    assert deliverer.look()
    (off,) = client.get("/webhooks").json()
    assert off["state"] == "off"
    assert "every attempt since 2022-04-20 08:00 UTC failed, for 5 days" in off["why"]
    clock.advance(timedelta(days=5))
    assert not deliverer.look()
    receiver.statuses = [200]
    assert client.post(f"/webhooks/{hook['id']}/enable").json()["state"] == "on"
    assert deliverer.look()
    assert len(receiver.got) == 3
    receiver.statuses = [410]
    client.post("/objects", json={"reference": "IOT_B", **SERVICE, "activate": True})
    assert deliverer.look()
    assert "410 Gone" in client.get("/webhooks").json()[0]["why"]
    assert ATTEMPTS > 1


def test_the_thread_tells_as_soon_as_it_is_woken(speaking: Speaking, receiver: Receiver, database: Database) -> None:
    client, _ = declare(speaking, receiver, "object.activated")
    running = Deliverer(database, SystemClock(), INSIDE)
    running.start()
    try:
        client.post("/objects", json={"reference": "IOT_A", **SERVICE, "activate": True})
        running.wake()
        eventually(lambda: len(receiver.got) == 1, "it is told")
    finally:
        running.stop()


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "224.0.0.1", "0.1.2.3"),
        *("192.88.99.1", "[::1]", "[fd00::1]", "[fec0::1]", "[fe80::1]", "[ff0e::1]", "[::10.0.0.1]", "[::]"),
        *("[::ffff:10.0.0.1]", "[::ffff:0:10.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a00:1]"),
        *("[2002:a9fe:a9fe::1]", "[2001:0:53aa:64c::5601:5601]"),
    ],
)
def test_no_address_inside_is_told_anything_unless_a_setting_allows_it(host: str) -> None:
    with pytest.raises(Invalid, match="is not a public address"):
        resolved(f"https://{host}/hook", private=False)


@pytest.mark.parametrize("host", ["8.8.8.8", "[::ffff:8.8.8.8]", "[64:ff9b::808:808]", "[2606:4700::1111]"])
def test_an_address_of_the_internet_is_told_in_whatever_notation(host: str) -> None:
    assert resolved(f"https://{host}/hook", private=False)


def test_a_receiver_that_drips_its_answer_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as threads:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                for byte in b"HTTP/1.1 204 No Content\r\nServer: " + b"x" * 100:
                    connection.sendall(bytes([byte]))
                    threading.Event().wait(0.05)

        port = listening.getsockname()[1]
        due = Due(
            id=1, webhook_id=1, message_id="m", payload="{}", secret="", attempt=1, created_at=APRIL,
            url=f"http://127.0.0.1:{port}/",
        )  # fmt: skip
        listening.settimeout(5)
        threads.submit(drip)
        began = monotonic()
        answer = told(due, {}, private=True, seconds=0.5)
        assert answer == "there was no whole answer within 0.5 seconds"
        assert monotonic() - began < 3


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://user:password@example.com/",
        "https://example.com:99999/",
        "https:///path",
        "https://[/",
        "https://exa mple.com/",
        "https://example.com/#f",
        "x" * 2001,
    ],
)
def test_an_address_that_is_not_to_be_told_is_refused_at_once(url: str) -> None:
    with pytest.raises(Invalid, match="is not an address to tell"):
        declared.checked_url(url, private=False)


def test_only_administrators_declare_webhooks_and_only_for_events_that_exist(
    speaking: Speaking, receiver: Receiver
) -> None:
    client = speaking(Role.BILLING)
    body = {"url": receiver.url, "events": ["invoice.issued"]}
    assert client.post("/webhooks", json=body).status_code == 403
    client = speaking(Role.ADMINISTRATOR)
    assert client.post("/webhooks", json=body | {"events": ["x"]}).json()["detail"].startswith("event 'x' is not known")
    assert client.post("/webhooks", json=body | {"events": []}).status_code == 422
