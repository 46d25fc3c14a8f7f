"""Objects over HTTP: the words of the control topics, lists by pages, roles, repeats."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import select

from billing.access import Role
from billing.commands import COMMANDS
from storage import registry
from storage.database import Database
from storage.tables import ConnectedObject, Outbox
from tests.api.conftest import NOW, SERVICE, Speaking


def test_an_object_is_created_activated_and_shown_with_its_schedules(speaking: Speaking, database: Database) -> None:
    client = speaking(Role.OPERATOR)
    created = client.post("/objects", json={"reference": "IOT_NS542", "customer": "FLEET"})
    assert (created.status_code, created.json()["result"]["status"]) == (201, "pending")
    done = client.post("/objects/IOT_NS542/activate", json=SERVICE, headers={"Idempotency-Key": "order-1"})
    assert (done.status_code, done.json()["request_id"]) == (200, "order-1")
    assert done.json()["result"]["contract_item"]["last_day"] == "2023-03-31"
    shown = client.get("/objects/IOT_NS542").json()
    assert (shown["status"], shown["contract"]) == ("active", "IOT Fleet Contract")
    (item,) = shown["contract_items"]
    assert len(item["schedules"]) == 12
    assert item["schedules"][0] == {
        "starts_on": "2022-04-01",
        "ends_on": "2022-04-30",
        "due_on": "2022-04-30",
        "status": "planned",
        "quantity": "0",
        "amount": "0",
    }
    assert [(it["event"], it["origin"]) for it in shown["timeline"]] == [
        ("created", "api:a operator"),
        ("activated", "api:a operator"),
    ]
    with database.snapshot() as session:
        assert session.exec(select(Outbox.topic)).all() == ["devices/IOT_NS542/state"]


def test_a_repeat_gets_the_first_answer_and_another_body_is_a_conflict(speaking: Speaking) -> None:
    client = speaking(Role.OPERATOR)
    client.post("/objects", json={"reference": "IOT_A"})
    key = {"Idempotency-Key": "k"}
    first = client.post("/objects/IOT_A/activate", json=SERVICE, headers=key)
    again = client.post("/objects/IOT_A/activate", json=SERVICE, headers=key)
    assert again.json() == first.json()
    other = client.post("/objects/IOT_A/activate", json=SERVICE | {"term_months": 6}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert len(client.get("/objects/IOT_A").json()["timeline"]) == 2
    refused = client.post("/objects/IOT_A/confirm", json={}, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "transition")
    assert "suspend" in refused.json()["allowed"]
    assert client.post("/objects/IOT_A/confirm", json={}, headers=key).json() == refused.json()


def test_a_dry_run_shows_what_it_would_bill_and_writes_nothing(speaking: Speaking) -> None:
    client = speaking(Role.OPERATOR)
    client.post("/objects", json={"reference": "IOT_A"})
    body = SERVICE | {"subscription": "Fee and Usage", "dry_run": True}
    shown = client.post("/objects/IOT_A/activate", json=body).json()
    assert shown["preview"]["net_difference"][0]["net"] == "11.00"
    assert client.get("/objects/IOT_A").json()["status"] == "pending"


@pytest.mark.parametrize(
    "content,kind,status,code",
    [
        (b"{", "application/json", 400, "malformed"),
        (b"[]", "application/json", 400, "malformed"),
        (b'{"on": NaN}', "application/json", 400, "malformed"),
        (b'{"on": null, "on": null}', "application/json", 400, "malformed"),
        (b'{"on": 5}', "application/json", 422, "invalid"),
        (b'{"never": 5}', "application/json", 422, "invalid"),
        (b'{"request_id": "x"}', "application/json", 422, "invalid"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"{}", "application/json", 404, "not_found"),
    ],
)
def test_a_bad_body_is_a_problem_that_says_why(
    speaking: Speaking, content: bytes, kind: str, status: int, code: str
) -> None:
    client = speaking(Role.OPERATOR)
    answer = client.post("/objects/IOT_X/suspend", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_a_body_above_the_limit_is_refused_before_it_is_read(speaking: Speaking) -> None:
    client = speaking(Role.OPERATOR)
    headers = {"Content-Type": "application/json"}
    told = client.post("/objects", content=b" " * 8_388_609, headers=headers)
    assert (told.status_code, told.json()["code"]) == (413, "too_large")
    streamed = client.post("/objects", content=(b" " * 1_000_000 for _ in range(9)), headers=headers)
    assert streamed.status_code == 413


def test_a_fleet_is_imported_and_the_wrong_rows_are_named(speaking: Speaking) -> None:
    client = speaking(Role.OPERATOR)
    rows: list[dict[str, Any]] = [
        {"reference": "IOT_1", **SERVICE, "activate": True},
        {"reference": "IOT_2", "draft": True},
        {"reference": "IOT_1"},
        {"reference": "a/b"},
        {"kind": "tracker"},
        {"reference": "IOT_3", "customer": "NOBODY"},
    ]
    whole = client.post("/bulk/objects", json={"objects": rows, "all_or_nothing": True}).json()
    assert whole["created"] == 0
    assert client.get("/objects").json()["items"] == []
    done = client.post("/bulk/objects", json={"objects": rows}).json()
    assert done["created"] == 2
    assert [(it["index"], it["code"]) for it in done["refused"]] == [
        (2, "conflict"),
        (3, "invalid_reference"),
        (4, "invalid"),
        (5, "not_found"),
    ]
    listed = client.get("/objects").json()["items"]
    assert [(it["reference"], it["status"]) for it in listed] == [("IOT_1", "active"), ("IOT_2", "draft")]


def test_lists_come_in_pages_and_every_condition_holds(speaking: Speaking) -> None:
    client = speaking(Role.OPERATOR)
    rows = [
        {"reference": f"{'AB'[n % 2]}_{n:02d}", "kind": "tracker" if n % 3 else "meter", "customer": "FLEET"}
        for n in range(10)
    ]
    client.post("/bulk/objects", json={"objects": [*rows, {"reference": "C", "draft": True}]})
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/objects", params={"limit": 4, "status": "pending", **cursor}).json()
        found += [it["reference"] for it in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == sorted(row["reference"] for row in rows)

    def listed(**conditions: str) -> list[str]:
        return [it["reference"] for it in client.get("/objects", params=conditions).json()["items"]]

    assert listed(prefix="B_0", kind="meter") == ["B_03", "B_09"]
    assert listed(customer="FLEET", prefix="A") == [f"A_{n:02d}" for n in range(0, 10, 2)]
    assert listed(customer="NOBODY") == listed(contract="none") == listed(subscription="none") == []
    assert listed(status="draft") == ["C"]
    for bad in ({"cursor": "AAAA"}, {"cursor": "!"}, {"limit": "0"}, {"limit": "1001"}, {"status": "lost"}):
        assert client.get("/objects", params=bad).status_code == 422


@pytest.mark.parametrize("path", ["/objects?contact=x", "/catalogue?=0", "/invoices?status=issued&sort=asc"])
def test_a_parameter_that_is_written_wrong_is_refused_instead_of_passed_over(speaking: Speaking, path: str) -> None:
    answer = speaking(Role.READER).get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert "this address has no parameter" in answer.json()["detail"]


def test_a_parameter_that_is_given_twice_is_refused(speaking: Speaking) -> None:
    answer = speaking(Role.READER).get("/objects?status=active&status=draft")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert "'status' is given more than once" in answer.json()["detail"]


def test_each_list_is_read_by_an_index_in_its_order(database: Database) -> None:
    with database.transaction() as session:
        registry.add_objects(session, [{"reference": "A", "status": "draft", "attributes": {}, "created_at": NOW}])
        for condition in ("status = 'draft'", "contract_id IN (1)", "customer_id IN (1)", "subscription_id IN (1)"):
            plan = session.connection().execute(
                text(
                    f"EXPLAIN QUERY PLAN SELECT * FROM connected_object WHERE {condition} AND reference > 'A' "
                    "ORDER BY reference LIMIT 10"
                )
            )
            told = " ".join(str(row) for row in plan)
            assert f"{condition.split()[0]}_reference" in told, told
            assert "TEMP B-TREE" not in told
        assert session.exec(select(ConnectedObject)).all()


def test_events_come_newest_first_by_pages(speaking: Speaking) -> None:
    client = speaking(Role.OPERATOR)
    client.post("/objects", json={"reference": "IOT_A"})
    reports = [{"object": "IOT_A", "event": f"e{n}", "at": f"2022-04-1{n // 2}T00:00:00Z"} for n in range(6)]
    sent = client.post("/events", json={"events": [*reports, {**reports[0], "event": "activated"}]}).json()
    assert sent["added"] == 6
    assert list(sent["refused"].values()) == [1]
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/objects/IOT_A/events", params={"limit": 3, **cursor}).json()
        found += [it["event"] for it in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == ["created", "e5", "e4", "e3", "e2", "e1", "e0"]
    assert client.get("/objects/NOBODY/events").status_code == 404


def test_usage_is_entered_once_listed_by_pages_and_taken_back(speaking: Speaking) -> None:
    client = speaking(Role.OPERATOR)
    client.post("/objects", json={"reference": "IOT_A"})
    records = [
        {"object": "IOT_A", "metric": "usage", "value": f"{n}.5", "at": f"2022-04-14T0{n}:00:00Z", "id": f"r{n}"}
        for n in range(5)
    ]
    assert client.post("/usage", json={"records": records}).json() == {"added": 5, "already_there": 0, "refused": {}}
    unknown = {**records[0], "object": "IOT_B"}
    again = client.post("/usage", json={"records": [*records, unknown]}).json()
    assert again == {"added": 0, "already_there": 5, "refused": {"unknown_object": 1}}
    params: dict[str, Any] = {"since": "2022-04-01T00:00:00Z", "limit": 3}
    first = client.get("/objects/IOT_A/usage", params=params).json()
    rest = client.get("/objects/IOT_A/usage", params=params | {"cursor": first["next_cursor"]}).json()
    assert [it["value"] for it in (*first["items"], *rest["items"])] == ["0.5", "1.5", "2.5", "3.5", "4.5"]
    assert rest["next_cursor"] is None
    taken = {"metric": "usage", "at": "2022-04-14T03:00:00Z", "reason": "a wrong meter", "value": "3"}
    assert client.post("/objects/IOT_A/reverse", json=taken).status_code == 200
    listed = client.get("/objects/IOT_A/usage", params=params | {"limit": 10}).json()["items"]
    assert [it["taken_back"] for it in listed if it["value"] == "3.5"] == ["a wrong meter"]
    for value in ("1e999999999", "NaN", 1.5, "x"):
        assert client.post("/usage", json={"records": [{**records[0], "value": value}]}).status_code == 422


@pytest.mark.parametrize(
    "role,expected", [(Role.READER, 403), (Role.OPERATOR, 404), (Role.BILLING, 404), (Role.ADMINISTRATOR, 404)]
)
def test_a_role_decides_who_may_tell_an_object(speaking: Speaking, role: Role, expected: int) -> None:
    client = speaking(role)
    assert client.post("/objects/IOT_X/suspend", json={}).status_code == expected
    change = client.post("/objects/IOT_X/change_plan", json={"subscription": "P"})
    assert change.status_code == (403 if role in {Role.READER, Role.OPERATOR} else 404)
    assert client.get("/objects").status_code == 200


def test_without_a_token_nothing_is_told(client: httpx.Client) -> None:
    for answer in (client.get("/objects"), client.post("/objects", json={}), client.get("/openapi.json")):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    wrong = client.get("/objects", headers={"Authorization": "Bearer mg_wrong"})
    assert wrong.status_code == 401


def test_every_command_of_the_control_topics_is_an_endpoint(speaking: Speaking) -> None:
    document = speaking(Role.READER).get("/openapi.json").json()
    for command in set(COMMANDS) - {"create"}:
        operation = document["paths"][f"/objects/{{reference}}/{command}"]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert "request_id" not in schema["properties"]
        assert set(schema["properties"]) == set(COMMANDS[command].body.model_fields) - {"request_id"}
