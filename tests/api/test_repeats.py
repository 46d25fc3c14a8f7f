"""Repeats over HTTP: whatever changes something takes an Idempotency-Key, and a dry run uses none up."""

import json
from typing import Any

import httpx
import pytest

from billing.access import Role
from config.clock import VirtualClock
from tests import brokers
from tests.api.conftest import Speaking
from tests.api.test_bookkeeping import NUMBER, closed, fleet
from tests.usecases.conftest import CATALOGUE

READS_ONLY = {"/close/dry-run"}
KEY = {"Idempotency-Key": "once"}
USAGE = {"object": "IOT_A", "metric": "usage", "value": "3", "at": "2022-04-15T10:00:00Z"}


def test_whatever_changes_something_takes_a_key() -> None:
    paths = json.loads((brokers.ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    without = [
        path
        for path, operations in paths.items()
        if "post" in operations
        and "Idempotency-Key" not in {it["name"] for it in operations["post"].get("parameters", ())}
    ]
    assert set(without) == READS_ONLY


@pytest.mark.parametrize(
    "path, body, other",
    [
        ("/bulk/objects", {"objects": [{"reference": "IOT_B"}]}, {"objects": [{"reference": "IOT_C"}]}),
        ("/usage", {"records": [USAGE]}, {"records": [USAGE | {"value": "4"}]}),
        (
            "/events",
            {"events": [{"object": "IOT_A", "event": "online", "at": "2022-04-15T10:00:00Z"}]},
            {"events": [{"object": "IOT_A", "event": "offline", "at": "2022-04-15T10:00:00Z"}]},
        ),
        ("/quarantine/discard", {"object": "IOT_UNKNOWN"}, {"object": "IOT_OTHER"}),
        ("/quarantine/replay", {"object": "IOT_UNKNOWN"}, {"object": "IOT_OTHER"}),
        (
            "/advances",
            {"contract": "IOT Fleet Contract", "amount": "5", "reference": "a"},
            {"contract": "IOT Fleet Contract", "amount": "6", "reference": "b"},
        ),
        ("/months/2022-02/lock", {}, {"x": 1}),
        ("/months/2022-02/unlock", {}, {"x": 1}),
    ],
)
def test_a_repeat_has_the_first_answer_and_another_body_is_a_conflict(
    speaking: Speaking, path: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    client = speaking(Role.BILLING)
    fleet(client, "IOT_A")
    unknown = {"object": "IOT_UNKNOWN", "metric": "usage", "value": "1", "at": "2022-04-15T10:00:00Z"}
    client.post("/usage", json={"records": [unknown]})
    first = client.post(path, json=body, headers=KEY)
    assert first.status_code in {200, 201}, first.text
    again = client.post(path, json=body, headers=KEY)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert client.post(path, json=other, headers=KEY).json()["code"] == "conflict"


def test_a_refused_bulk_is_refused_again_under_its_key(speaking: Speaking) -> None:
    client = speaking(Role.BILLING)
    wrong = {"records": [USAGE | {"value": "much"}]}
    first = client.post("/usage", json=wrong, headers=KEY)
    assert (first.status_code, first.headers["content-type"]) == (422, "application/problem+json")
    assert client.post("/usage", json=wrong, headers=KEY).json() == first.json()


def test_a_catalogue_is_applied_once_under_its_key_and_a_dry_run_uses_none_up(speaking: Speaking) -> None:
    client = speaking(Role.BILLING)
    text = CATALOGUE + "\n  - {name: Second, customer: FLEET, starts_on: 2022-01-01}\n"
    client.headers["Content-Type"] = "application/yaml"
    tried = client.post("/catalogue", params={"dry_run": True}, content=text, headers=KEY)
    assert tried.json()["dry_run"] is True
    first = client.post("/catalogue", content=text, headers=KEY)
    assert "created" in {it["change"] for it in first.json()["changes"]}
    assert client.post("/catalogue", content=text, headers=KEY).json() == first.json()


def test_a_credit_note_is_looked_at_before_it_is_issued(speaking: Speaking, clock: VirtualClock) -> None:
    client = speaking(Role.BILLING)
    fleet(client, "IOT_A")
    closed(client, clock)
    body = {"reason": "Outage", "percent": "10"}
    tried = client.post(f"/invoices/{NUMBER}/credit-notes", json=body | {"dry_run": True}, headers=KEY)
    assert (tried.status_code, tried.json()["total"]) == (200, "3.60")
    assert [line["net"] for line in tried.json()["lines"]] == ["3.00"]
    assert len(client.get("/invoices").json()["items"]) == 1
    issued = client.post(f"/invoices/{NUMBER}/credit-notes", json=body, headers=KEY)
    assert (issued.status_code, issued.json()["number"]) == (201, tried.json()["number"])
    reader = speaking(Role.READER)
    refused = reader.post(f"/invoices/{NUMBER}/credit-notes", json=body | {"dry_run": True})
    assert refused.status_code == 403


def test_an_approval_is_looked_at_before_it_is_done(speaking: Speaking, clock: VirtualClock) -> None:
    client = speaking(Role.BILLING)
    text = CATALOGUE.replace("customer: FLEET", "customer: FLEET\n    approval: required")
    client.post("/catalogue", content=text, headers={"Content-Type": "application/yaml"})
    fleet(client, "IOT_A")
    closed(client, clock)
    (draft,) = client.get("/invoices", params={"status": "draft"}).json()["items"]
    tried = client.post(f"/drafts/{draft['number']}/approve", json={"dry_run": True}).json()
    assert [(it["number"], it["status"], it["lines"][0]["net"]) for it in tried["invoices"]] == [
        (NUMBER, "issued", "30.00")
    ]
    assert client.get("/invoices").json()["items"] == []
    assert client.post(f"/drafts/{draft['number']}/approve", json={"total": tried["invoices"][0]["total"]}).is_success
    assert [it["number"] for it in client.get("/invoices").json()["items"]] == [NUMBER]


def test_an_advance_is_recorded_listed_and_taken_by_the_next_invoice(speaking: Speaking, clock: VirtualClock) -> None:
    client = speaking(Role.BILLING)
    fleet(client, "IOT_A")
    body = {"contract": "IOT Fleet Contract", "amount": "20", "paid_on": "2022-04-02", "reference": "bank-1"}
    made = client.post("/advances", json=body)
    assert (made.status_code, made.json()["left"]) == (201, "20.00")
    assert client.post("/advances", json=body | {"reference": "bank-2"}).status_code == 201
    closed(client, clock)
    page = client.get("/advances", params={"contract": "IOT Fleet Contract", "limit": 1}).json()
    (rest,) = client.get("/advances", params={"cursor": page["next_cursor"]}).json()["items"]
    assert [(it["taken"], it["left"]) for it in (*page["items"], rest)] == [("20.00", "0.00"), ("16.00", "4.00")]
    assert client.get(f"/invoices/{NUMBER}").json()["state"] == "paid"
    refused = client.post("/advances", json=body | {"amount": "21"})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert client.post("/advances", json=body | {"contract": "Nobody's"}).status_code == 404


def test_a_month_is_locked_and_opened_again(speaking: Speaking) -> None:
    client = speaking(Role.BILLING)
    assert client.post("/months/2022-03/lock", json={}).json() == {
        "month": "2022-03", "state": "locked", "changed": True,
    }  # fmt: skip
    assert client.post("/months/2022-03/lock", json={}).json()["changed"] is False
    assert [it["month"] for it in client.get("/months").json()] == ["2022-03"]
    early = client.post("/months/2022-04/lock", json={})
    assert (early.status_code, "has not ended" in early.json()["detail"]) == (409, True)
    assert client.post("/months/0000-01/lock", json={}).status_code == 422
    assert client.post("/months/2022-03/unlock", json={}).json()["state"] == "open"
    assert client.get("/months").json() == []


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.READER])
def test_only_who_bills_keeps_the_books(speaking: Speaking, role: Role) -> None:
    client: httpx.Client = speaking(role)
    body = {"contract": "IOT Fleet Contract", "amount": "5", "reference": "a"}
    assert client.post("/advances", json=body).status_code == 403
    assert client.post("/months/2022-02/lock", json={}).status_code == 403
