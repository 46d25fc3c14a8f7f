"""Catalogue, close, invoices, payments and what they refuse, over HTTP."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from billing.access import Role
from config.clock import VirtualClock
from storage import members, quarantine
from storage.database import Database
from tests.api.conftest import NOW, SERVICE, Speaking
from tests.brokers import ROOT, eventually
from tests.usecases.conftest import CATALOGUE

MAY = datetime(2022, 5, 2, 8, 0, tzinfo=UTC)
APRIL = {"until": "2022-04-30"}
NUMBER = "INV/2022/04/0001"
API_PAGE = ROOT / "docs/api.md"


def fleet(client: httpx.Client, *references: str) -> None:
    rows = [{"reference": reference, **SERVICE, "activate": True} for reference in references]
    assert client.post("/bulk/objects", json={"objects": rows}).json()["created"] == len(references)
    records = [
        {"object": reference, "metric": "usage", "value": "12", "at": "2022-04-14T10:00:00Z"}
        for reference in references
    ]
    assert client.post("/usage", json={"records": records}).json()["added"] == len(references)


def closed(client: httpx.Client, clock: VirtualClock) -> dict[str, Any]:
    clock.set(max(MAY, clock.now() + timedelta(seconds=1)))
    started = client.post("/close", json=APRIL)
    assert started.status_code == 202
    found: dict[str, Any] = {}

    def done() -> bool:
        found.update(client.get(f"/close/{started.json()['id']}").json())
        return bool(found["status"] != "running")

    eventually(done, "the close is done")
    return found


def test_a_close_is_tried_started_and_looked_at(speaking: Speaking, clock: VirtualClock) -> None:
    client = speaking(Role.BILLING)
    fleet(client, "IOT_A", "IOT_B")
    clock.set(MAY)
    tried = client.post("/close/dry-run", json=APRIL).json()
    assert [(it["number"], it["total"]) for it in tried["invoices"]] == [(NUMBER, "72.00")]
    assert client.get("/invoices").json()["items"] == []
    run = closed(client, clock)
    assert (run["status"], run["asked_by"], run["months_closed"], run["months_due"]) == ("done", "a billing", 4, 4)
    assert run["report"]["invoices"] == tried["invoices"]
    (listed,) = client.get("/close").json()["items"]
    assert listed == run
    again = closed(client, clock)
    assert (again["report"]["invoices"], again["months_closed"], again["months_due"]) == ([], 0, 0)
    early = client.post("/close/dry-run", json={"until": "2022-05-31"})
    assert (early.status_code, early.json()["code"]) == (409, "refused")
    assert client.post("/close/dry-run", json={"until": "9999-12-31"}).status_code == 422
    assert client.get("/close/99").status_code == 404


def test_a_repeated_start_starts_nothing(speaking: Speaking, clock: VirtualClock) -> None:
    client = speaking(Role.BILLING)
    clock.set(MAY)
    key = {"Idempotency-Key": "april"}
    first = client.post("/close", json=APRIL, headers=key)
    eventually(lambda: client.get("/close/1").json()["status"] == "done", "it is done")
    assert client.post("/close", json=APRIL, headers=key).json() == first.json()
    assert len(client.get("/close").json()["items"]) == 1
    assert client.post("/close", json={"until": "2022-03-31"}, headers=key).json()["code"] == "conflict"


def test_an_invoice_is_read_in_every_form(speaking: Speaking, clock: VirtualClock) -> None:
    client = speaking(Role.BILLING)
    fleet(client, "IOT_A", "IOT_B")
    closed(client, clock)
    (listed,) = client.get("/invoices", params={"month": "2022-04", "contract": "IOT Fleet Contract"}).json()["items"]
    assert (listed["number"], listed["net"], listed["vat"], listed["total"]) == (NUMBER, "60.00", "12.00", "72.00")
    assert client.get("/invoices", params={"kind": "credit_note"}).json()["items"] == []
    shown = client.get(f"/invoices/{NUMBER}").json()
    assert (shown["state"], shown["due"], shown["vat_breakdown"][0]["rate"]) == ("open", "72.00", "20")
    assert client.get("/invoices/INV%2F2022%2F04%2F0001").json() == shown
    (line,) = client.get(f"/invoices/{NUMBER}/lines").json()["items"]
    assert (line["objects"], line["quantity"], line["unit_price"], line["to"]) == (2, "24", "2.50", "2022-04-30")
    with client.stream("GET", f"/invoices/{NUMBER}/detail") as streamed:
        assert "content-length" not in streamed.headers
        rows = [json.loads(text) for text in streamed.iter_lines()]
    assert [(row["object"], row["quantity"], row["net_amount"]) for row in rows] == [
        ("IOT_A", "12", "30.00"),
        ("IOT_B", "12", "30.00"),
    ]
    usage = client.get(f"/invoices/{NUMBER}/detail", params={"level": "usage"}).text.splitlines()
    assert [json.loads(text)["occurred_at"] for text in usage] == ["2022-04-14T10:00:00Z"] * 2
    csv = client.get(f"/invoices/{NUMBER}/detail", params={"format": "csv"})
    assert csv.text.splitlines()[1].startswith(f"{NUMBER},1,IOT_A,")
    assert client.get(f"/invoices/{NUMBER}/detail", params={"format": "xlsx"}).content.startswith(b"PK")
    pdf = client.get(f"/invoices/{NUMBER}/document")
    assert (pdf.headers["content-type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")
    assert "INV-2022-04-0001.pdf" in pdf.headers["content-disposition"]
    assert client.get(f"/invoices/{NUMBER}/document").content == pdf.content
    for path in ("", "/lines", "/detail", "/document", "/payments"):
        answer = client.get(f"/invoices/INV/1999/01/0001{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_invoice_is_paid_and_credited_once(speaking: Speaking, clock: VirtualClock) -> None:
    client = speaking(Role.BILLING)
    fleet(client, "IOT_A", "IOT_B")
    closed(client, clock)
    part = {"amount": "50.00", "reference": "bank-1", "paid_on": "2022-05-02"}
    paid = client.post(f"/invoices/{NUMBER}/payments", json=part)
    assert (paid.status_code, paid.json()["due"]) == (201, "22.00")
    assert client.post(f"/invoices/{NUMBER}/payments", json=part).json() == paid.json()
    assert client.get(f"/invoices/{NUMBER}/payments").json()[0]["origin"] == "api:a billing"
    key = {"Idempotency-Key": "too much"}
    more = part | {"amount": "500", "reference": "bank-2"}
    refused = client.post(f"/invoices/{NUMBER}/payments", json=more, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "refused")
    assert refused.headers["content-type"] == "application/problem+json"
    again = client.post(f"/invoices/{NUMBER}/payments", json=more, headers=key)
    assert (again.status_code, again.json()) == (409, refused.json())
    other = client.post(f"/invoices/{NUMBER}/payments", json=more | {"amount": "1"}, headers=key)
    assert other.json()["code"] == "conflict"
    key = {"Idempotency-Key": "credit"}
    note = client.post(f"/invoices/{NUMBER}/credit-notes", json={"percent": "10", "reason": "late"}, headers=key)
    assert (note.status_code, note.json()["kind"], note.json()["corrects"]) == (201, "credit_note", [NUMBER])
    repeat = client.post(f"/invoices/{NUMBER}/credit-notes", json={"percent": "10", "reason": "late"}, headers=key)
    assert repeat.json() == note.json()
    assert len(client.get("/invoices").json()["items"]) == 2
    assert client.post(f"/invoices/{NUMBER}/credit-notes", json={"percent": 1.5, "reason": "x"}).status_code == 422


def test_drafts_are_approved_or_void(speaking: Speaking, clock: VirtualClock) -> None:
    client = speaking(Role.BILLING)
    content = CATALOGUE.replace("    customer: FLEET\n", "    customer: FLEET\n    approval: required\n")
    yaml = {"Content-Type": "application/yaml"}
    tried = client.post("/catalogue", params={"dry_run": True}, content=content, headers=yaml).json()
    changed = [it for it in tried["changes"] if it["change"] == "changed"]
    assert [(it["what"], it["name"]) for it in changed] == [("contract", "IOT Fleet Contract")]
    assert client.get("/contracts/IOT Fleet Contract").json()["approval"] == "none"
    client.post("/catalogue", content=content, headers=yaml)
    assert client.get("/contracts/IOT Fleet Contract").json()["approval"] == "required"
    fleet(client, "IOT_A")
    closed(client, clock)
    (draft,) = client.get("/invoices", params={"status": "draft"}).json()["items"]
    wrong = client.post(f"/drafts/{draft['number']}/approve", json={"total": "1.00"})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "refused")
    approved = client.post(f"/drafts/{draft['number']}/approve", json={"total": draft["total"]}).json()
    assert [it["number"] for it in approved["invoices"]] == [NUMBER]
    assert client.post(f"/drafts/{draft['number']}/void", json={}).status_code in {404, 409}


def test_a_wrong_catalogue_names_every_place(speaking: Speaking) -> None:
    client = speaking(Role.BILLING)
    yaml = {"Content-Type": "application/yaml"}
    answer = client.post("/catalogue", content=CATALOGUE.replace('"2.50"', "dear"), headers=yaml)
    assert (answer.status_code, answer.json()["code"]) == (422, "catalogue_invalid")
    assert "plans[0].charges[0].calculator.price.unit_price" in answer.json()["detail"]
    assert client.post("/catalogue", content=b"\xff", headers=yaml).status_code == 400
    assert client.post("/catalogue", content="a", headers={"Content-Type": "text/html"}).status_code == 415


def test_what_is_declared_is_shown(speaking: Speaking) -> None:
    client = speaking(Role.READER)
    shown = client.get("/catalogue").json()
    assert (shown["seller"]["currency"], shown["metrics"][0]["name"]) == ("EUR", "usage")
    assert [it["name"] for it in shown["plans"]] == ["Fee and Usage", "Premium Fleet Subscription"]
    (version,) = client.get("/plans/Fee and Usage").json()
    assert [charge["name"] for charge in version["charges"]] == ["Fee", "Usage"]
    (contract,) = client.get("/contracts", params={"customer": "FLEET"}).json()["items"]
    assert contract["starts_on"] == "2022-01-01"
    whole = client.get("/contracts/IOT Fleet Contract").json()
    assert [it["plan"] for it in whole["subscriptions"]] == ["Fee and Usage", "Premium Fleet Subscription"]
    assert client.get("/customers").json()["items"][0]["reference"] == "FLEET"
    for path in ("/plans/none", "/contracts/none"):
        assert client.get(path).status_code == 404


def test_schedules_are_listed_by_pages_of_a_contract_or_an_object(speaking: Speaking) -> None:
    client = speaking(Role.BILLING)
    fleet(client, "IOT_A", "IOT_B")
    for whose, count in (({"contract": "IOT Fleet Contract"}, 24), ({"object": "IOT_A"}, 12)):
        found: list[dict[str, Any]] = []
        cursor: dict[str, Any] = {}
        while True:
            page = client.get("/schedules", params={**whose, "limit": 7, **cursor}).json()
            found += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert len({(it["object"], it["starts_on"]) for it in found}) == len(found) == count
        assert [it["due_on"] for it in found] == sorted(it["due_on"] for it in found)
    assert client.get("/schedules").status_code == 422
    assert client.get("/schedules", params={"object": "NOBODY"}).status_code == 404


def test_what_came_with_a_refused_message_is_shown_without_its_secrets(speaking: Speaking, database: Database) -> None:
    client = speaking(Role.OPERATOR)
    with database.transaction() as session:
        quarantine.put(
            session,
            topic="cloudevents/y",
            payload=b'{"energy": 1}',
            retained=False,
            received_at=NOW,
            reason="unknown_object",
            detail="no object",
            object_reference="C",
            properties={"user_properties": [["subject", "C"], ["apitoken", "hush"]]},
        )
    (row,) = client.get("/quarantine").json()["items"]
    said = client.get(f"/quarantine/{row['id']}").json()["properties"]
    assert '"subject": "C"' in said
    assert "hush" not in said


def test_what_was_refused_is_listed_replayed_and_discarded(speaking: Speaking) -> None:
    client = speaking(Role.OPERATOR)
    records = [{"object": f"IOT_{n}", "metric": "usage", "value": "1", "at": "2022-04-14T10:00:00Z"} for n in range(3)]
    assert client.post("/usage", json={"records": records}).json()["refused"] == {"unknown_object": 3}
    page = client.get("/quarantine", params={"reason": "unknown_object", "limit": 2}).json()
    rest = client.get("/quarantine", params={"cursor": page["next_cursor"]}).json()
    assert [it["object"] for it in (*page["items"], *rest["items"])] == ["IOT_0", "IOT_1", "IOT_2"]
    first = page["items"][0]["id"]
    assert '"usage": 1' in client.get(f"/quarantine/{first}").json()["payload"]
    client.post("/objects", json={"reference": "IOT_0"})
    came = client.post("/quarantine/replay", json={"reason": "unknown_object"}).json()
    assert came["replayed"] == 1
    assert [it["id"] for it in came["stay"]] == [first + 1, first + 2]
    assert client.post("/quarantine/discard", json={"object": "IOT_1"}).json() == {"discarded": 1}
    assert [it["object"] for it in client.get("/quarantine").json()["items"]] == ["IOT_2"]
    assert client.post("/quarantine/discard", json={}).status_code == 422
    assert client.get("/quarantine/99").status_code == 404
    assert client.get("/sources").json() == []


def test_prometheus_reads_the_figures_with_a_token(speaking: Speaking, client: httpx.Client) -> None:
    root = str(client.base_url).removesuffix("/api/v1/")
    assert httpx.get(f"{root}/metrics", trust_env=False).status_code == 401
    speaking(Role.READER)
    for path in (f"{root}/metrics", "/metrics"):
        told = client.get(path)
        assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "metergate_outbox_waiting 0.0" in told.text
        assert "metergate_batches_total 0.0" in told.text
        families = re.findall(r"^# TYPE (\S+) ", told.text, re.MULTILINE)
        assert families == re.findall(r"^\| `(metergate_\w+)", API_PAGE.read_text(), re.MULTILINE), "the page has them"


def test_prometheus_reads_which_ingest_member_is_at_work_stopped_or_dead(
    speaking: Speaking, database: Database
) -> None:
    heard = {"at_work": NOW, "dead": NOW - timedelta(seconds=61), "stopped": NOW - timedelta(days=1)}
    with database.transaction() as session:
        for name, at in heard.items():
            write = members.stop if name == "stopped" else members.beat
            write(session, name, host="h", pid=1, now=at, started_at=at, stored=7)
    told = speaking(Role.READER).get("/metrics").text
    for name, (up, dead) in {"at_work": (1, 0), "dead": (0, 1), "stopped": (0, 0)}.items():
        assert f'metergate_member_up{{client_id="{name}"}} {up}.0' in told
        assert f'metergate_member_dead{{client_id="{name}"}} {dead}.0' in told
        assert f'metergate_member_messages_total{{client_id="{name}"}} 7.0' in told
    stated = re.search(r'metergate_member_heard_timestamp_seconds{client_id="dead"} (\S+)', told)
    assert stated is not None
    assert float(stated[1]) == NOW.timestamp() - 61


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.READER])
def test_only_who_bills_closes_and_touches_invoices(speaking: Speaking, role: Role, database: Database) -> None:
    assert database
    client = speaking(role)
    for path in ("/close", "/close/dry-run", "/invoices/X/payments", "/invoices/X/credit-notes", "/drafts/X/void"):
        answer = client.post(path, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), path
    assert client.get("/invoices").status_code == (403 if role is Role.OPERATOR else 200)
