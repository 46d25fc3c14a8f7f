"""The reference's table of changes of mind: every command in it does what its row says, and none is missing."""

from datetime import UTC, date, datetime
from typing import Any

import click
import pytest
from sqlmodel import Session, func, select

from billing.commands import COMMANDS
from billing.preview import preview
from billing.recording import Said
from billing.repricing import migrate
from gateway.cli.main import cli
from gateway.telemetry import OUR_EVENTS
from storage.database import Database
from storage.measuring import store_boundaries
from storage.tables import ContractItem, InvoicingSchedule, ObjectEvent, Outbox, UsageReversal
from storage.types import to_micros
from tests import brokers
from tests.usecases.changing import SELLER, World, contract, fee, noon, per_unit, plans

REFERENCE = (brokers.ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
SECTION = REFERENCE.split("## Changes of mind\n")[1].split("\n## ")[0]
ROWS = [
    tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))
    for line in SECTION.splitlines()
    if line.startswith("| ") and not line.startswith("| Control")
]
TODAY = date(2022, 4, 20)
AT = "2022-04-10T10:00:00+00:00"
BEFORE: dict[str, tuple[str, ...]] = {
    "create": (),
    "confirm": ("create",),
    "activate": ("create",),
    "resume": ("create", "activate", "suspend"),
}
"""What an object has been told before a command, where it is not a creation and an activation."""
BODIES: dict[str, dict[str, Any]] = {
    "create": {"draft": True},
    "activate": {"contract": "C", "subscription": "P", "starts_on": date(2022, 4, 1), "renewal": "automatic"},
    "change_plan": {"subscription": "Q"},
    "transfer": {"contract": "D"},
    "exchange": {"note": "serial 4711"},
    "command": {"name": "reboot"},
    "accept_readings": {"metric": "energy"},
    "reject_readings": {"metric": "energy"},
    "exchange_readings": {"metric": "energy"},
    "replace_boundary": {"metric": "energy", "on": date(2022, 4, 11), "value": "90"},
    "reverse": {"metric": "usage", "at": AT, "reason": "a test"},
}
METERED = SELLER.replace("customers:", "  - {name: energy, unit: kWh, kind: cumulative, decimals: 0}\ncustomers:")


def catalogue(price: str) -> str:
    contracts = contract("C", "P", "Q") + contract("D", "P")
    return plans(P=[fee(price), per_unit("1")], Q=[fee("60")]) + "contracts:\n" + contracts


def counts(session: Session) -> list[int]:
    tables = (ObjectEvent, ContractItem, InvoicingSchedule, Outbox, UsageReversal)
    return [session.exec(select(func.count()).select_from(table)).one() for table in tables]


def world(database: Database, command: str) -> World:
    """One object to which the command may be told."""
    it = World(database, catalogue("30"), METERED)
    for earlier in BEFORE.get(command, ("create", "activate")):
        it.do(earlier, date(2022, 4, 1), **BODIES.get(earlier, {}))
    if command == "reverse":
        it.uses(5, AT)
    if command.endswith("_readings"):
        it.uses(100, AT, metric_id=2)
        it.uses(3, "2022-04-11T10:00:00+00:00", metric_id=2)
    if command == "replace_boundary":
        with it.database.transaction() as session:
            store_boundaries(session, [(1, 2, to_micros(datetime(2022, 4, 11, tzinfo=UTC)), 80, "estimated")])
    if command in {"change_price", ""}:
        it.apply(catalogue("45"))
    return it


def test_every_command_of_the_control_topic_is_in_the_table() -> None:
    assert sorted(row[0] for row in ROWS if row[0]) == sorted(COMMANDS)


@pytest.mark.parametrize("row", ROWS, ids=[row[1].replace(" ", "-") for row in ROWS])
def test_a_command_line_has_the_dry_run_that_the_table_says(row: tuple[str, ...]) -> None:
    _, line, dry_run, event = row
    found: click.Command = cli
    for word in line.split():
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), word)
        assert inner is not None, line
        found = inner
    assert ("dry_run" in {option.name for option in found.params}) == (dry_run == "yes")
    assert event in OUR_EVENTS
    flags = [flag for option in found.params for flag in option.opts if flag.startswith("-")]
    assert len(flags) == len(set(flags)), "an option is there twice"


@pytest.mark.parametrize("row", [row for row in ROWS if row[0]], ids=[row[0] for row in ROWS if row[0]])
def test_a_dry_run_writes_nothing_and_the_command_is_an_event(sqlite_database: Database, row: tuple[str, ...]) -> None:
    command, _, _, event = row
    it = world(sqlite_database, command)
    values = BODIES.get(command, {})
    with it.database.snapshot() as session:
        before = counts(session)
    it.ask(command, TODAY, **values)
    with it.database.snapshot() as session:
        assert counts(session) == before
    it.do(command, TODAY, **values)
    assert it.events()[-1][0] == event


def test_a_change_of_price_of_a_plan_is_an_event_of_each_object(sqlite_database: Database) -> None:
    it = world(sqlite_database, "")
    said = Said(now=noon(TODAY), origin="cli")
    with it.database.transaction() as session:
        before = counts(session)
        preview(session, lambda inside: migrate(inside, "P", said), contracts={"C"}, now=said.now)
        assert counts(session) == before
        migrate(session, "P", said)
    assert it.events()[-1][0] == "price_changed"
