"""Registers over HTTP: what is held, decided, kept, and where messages may be missing."""

from datetime import date

from billing import catalogue
from billing.access import Role
from billing.close import close
from storage.database import Database
from storage.tables import ReceptionGap
from tests.api.conftest import NOW, SERVICE, Speaking
from tests.usecases.changing import noon

CLOSED = date(2022, 4, 30)
METERED = """
metrics: [{name: energy, unit: kWh, kind: cumulative, decimals: 3}]
plans:
  - name: Metered
    charges:
      - name: Energy
        type: usage
        vat_rate: "20"
        calculator: {metric: energy, price: {model: per_unit, unit_price: "1"}}
contracts: [{name: Meters, customer: FLEET, starts_on: 2022-04-01, subscriptions: [Metered]}]
"""


def test_a_register_that_fell_is_listed_decided_and_billed(speaking: Speaking, database: Database) -> None:
    with database.transaction() as session:
        catalogue.apply(session, catalogue.load(METERED, "meters.yaml"), NOW)
    client = speaking(Role.ADMINISTRATOR)
    service = SERVICE | {"contract": "Meters", "subscription": "Metered"}
    client.post("/objects", json={"reference": "METER", "activate": True, **service})
    told = [("02", "100"), ("10", "150"), ("15", "3"), ("16", "20")]
    records = [
        {"object": "METER", "metric": "energy", "value": value, "at": f"2022-04-{day}T10:00:00Z"} for day, value in told
    ]
    assert client.post("/usage", json={"records": records}).json()["added"] == 4
    (waiting,) = client.get("/readings/held", params={"object": "METER"}).json()
    assert (waiting["readings"], waiting["before"], waiting["first"], waiting["last"]) == (2, "150", "3", "20")
    decided = {"metric": "energy", "final": "151", "initial": "2"}
    assert client.post("/objects/METER/exchange_readings", json=decided).status_code == 200
    assert client.get("/readings/held").json() == []
    (invoice,) = close(database, CLOSED, noon(date(2022, 5, 1))).invoices
    assert invoice.net_minor == 69_00
    values = client.get("/objects/METER/boundaries").json()
    assert [(it["value"], it["quality"]) for it in values] == [("100", "baseline"), ("169", "estimated")]
    assert client.get("/objects/NOBODY/boundaries").status_code == 404


def test_gaps_are_listed_until_they_are_cleared(speaking: Speaking, database: Database) -> None:
    with database.transaction() as session:
        for cleared in (None, NOW):
            by = None if cleared is None else "accepted"
            session.add(
                ReceptionGap(
                    reason="session_lost",
                    starts_at=NOW,
                    ends_at=NOW,
                    recorded_at=NOW,
                    cleared_at=cleared,
                    cleared_by=by,
                )
            )
    client = speaking(Role.READER)
    assert [it["reason"] for it in client.get("/gaps").json()] == ["session_lost"]
    assert len(client.get("/gaps", params={"open": "false"}).json()) == 2
