"""The months of the usage table on PostgreSQL: made ahead, emptied out of the default one, detached when closed."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlmodel import Session

from billing import archiving, catalogue, verify
from billing import close as closing
from billing.core.errors import NotFound, Refused
from billing.registry import NewObject, create_objects
from config.settings import Settings
from gateway.cli.main import cli
from gateway.extraction import export_invoice
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from storage import detail, partitions, quarantine, usage
from storage.database import Database
from tests.brokers import ROOT

APRIL = date(2022, 4, 1)
CREATED = datetime(2022, 3, 31, 12, tzinfo=UTC)
LATER = datetime(2022, 9, 1, tzinfo=UTC)
EDGES = ("2022-03-31T22:30:00Z", "2022-04-14T12:00:00Z", "2022-04-30T21:30:00Z", "2022-05-10T12:00:00Z")
"""April in Paris begins in March and ends in April, as UTC has it."""


@pytest.fixture
def database_url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def fleet(database_url: str) -> Iterator[Database]:
    """One object on a contract of Paris, active from April, with usage that nobody made partitions for."""
    database = Database(database_url)
    database.migrate()
    with database.transaction() as session:
        catalogue.apply(session, catalogue.load((ROOT / "docs" / "fleet.yaml").read_text()), CREATED)
        new = NewObject(
            reference="IOT_A",
            customer="FLEET",
            contract="IOT Fleet Contract",
            subscription="Premium Fleet Subscription",
            activate=True,
            starts_on=APRIL,
        )
        assert not isinstance(create_objects(session, [new], "pending", CREATED, "cli")[0], Exception)
    for at in EDGES:
        measure(database, at)
    yield database
    database.dispose()


def measure(database: Database, at: str, now: datetime = datetime(2022, 5, 11, tzinfo=UTC)) -> dict[str, int]:
    body = json.dumps({"ts": at, "metrics": {"usage": 1}}).encode()
    message = Message(topic="devices/IOT_A/telemetry", payload=body, received_at=now)
    return dict(ingest_batch(database, [message], Rules.of(Settings()), now=now).refused)


def close_until(database: Database, until: date) -> closing.CloseReport:
    return closing.close(database, until, datetime(until.year, until.month, until.day, tzinfo=UTC) + timedelta(days=2))


def split_and_detach(database: Database) -> None:
    with database.transaction() as session:
        partitions.split(session, APRIL)
        archiving.detach(session, APRIL, LATER)


def months_in_default(session: Session) -> dict[date, int]:
    """How many records of each UTC month wait in the default partition."""
    rows = session.connection().exec_driver_sql(
        "SELECT date_trunc('month', to_timestamp(occurred_at / 1000000) AT TIME ZONE 'UTC')::date, count(*) "
        "FROM usage_record_default GROUP BY 1"
    )
    return {month: int(count) for month, count in rows}


def test_records_that_wait_in_the_default_partition_move_into_their_month(fleet: Database) -> None:
    with fleet.transaction() as session:
        assert months_in_default(session) == {date(2022, 3, 1): 1, APRIL: 2, date(2022, 5, 1): 1}
        assert partitions.split(session, APRIL) == 2
        assert partitions.split(session, APRIL) is None
        made = partitions.ensure_partitions(session, today=date(2022, 5, 11), months_ahead=1)
        assert made == ["usage_record_2022_05", "usage_record_2022_06"]
        assert months_in_default(session) == {date(2022, 3, 1): 1}
        found = {partition.name: partition.state for partition in partitions.listed(session)}
    months = {f"usage_record_2022_{month}": "attached" for month in ("04", "05", "06")}
    assert found == months | {"usage_record_default": "default"}
    with fleet.snapshot() as session:
        assert usage.rollup_differences(session) == []
    assert measure(fleet, EDGES[1]) == {}
    with fleet.snapshot() as session:
        assert usage.rollup_differences(session) == []


def test_a_month_that_is_not_closed_is_not_detached(fleet: Database) -> None:
    with fleet.transaction() as session:
        partitions.split(session, APRIL)
    with fleet.transaction() as session, pytest.raises(Refused, match="stay until 2022-08-01"):
        archiving.detach(session, APRIL, datetime(2022, 7, 31, tzinfo=UTC))
    close_until(fleet, date(2022, 4, 30))
    with fleet.transaction() as session, pytest.raises(Refused, match="1 schedules that measure usage of 2022-04"):
        archiving.detach(session, APRIL, LATER)
    close_until(fleet, date(2022, 5, 31))
    measure(fleet, "2022-04-20T12:00:00Z", LATER)
    with fleet.transaction() as session, pytest.raises(Refused, match="are not closed"):
        archiving.detach(session, APRIL, LATER)
    close_until(fleet, date(2022, 6, 30))
    with fleet.transaction() as session:
        archiving.detach(session, APRIL, LATER)
    with fleet.transaction() as session, pytest.raises(NotFound, match="has no partition of its own"):
        archiving.detach(session, date(2022, 3, 1), LATER)


def test_an_archived_month_is_told_of_and_never_valued_without_its_records(fleet: Database, tmp_path: Path) -> None:
    issued = close_until(fleet, date(2022, 5, 31)).invoices
    split_and_detach(fleet)
    with fleet.snapshot() as session:
        findings = verify.verify(session)
        assert verify.differences(findings) == []
        assert [found.subject for found in findings if found.check == "archived"] == ["2022-04"]
        records = [
            [len(list(share.records)) for line in detail.explain(session, invoice.number) for share in line.shares]
            for invoice in issued
        ]
        assert records == [[1], [1]]
        with pytest.raises(Refused, match="the usage records of 2022-04 are archived"):
            export_invoice(session, issued[0].number, tmp_path / "april.csv", "csv", "usage")
        export_invoice(session, issued[0].number, tmp_path / "april.csv", "csv", "schedule")
    assert len((tmp_path / "april.csv").read_text().splitlines()) == 2
    explained = CliRunner(env={"METERGATE_DATABASE_URL": fleet.engine.url.render_as_string()}).invoke(
        cli, ["invoices", "explain", issued[0].number]
    )
    assert "the usage records of 2022-04 are archived: they are not shown" in explained.output
    # A repeat would count twice, and late usage would be valued without the rest of its month.
    assert measure(fleet, EDGES[1]) == {"archived": 1}
    assert measure(fleet, "2022-04-21T12:00:00Z", LATER) == {"archived": 1}
    # The part of April that is in March as UTC has it still lets late usage in: the close says what it lacks.
    assert measure(fleet, "2022-03-31T22:45:00Z", LATER) == {}
    (failure,) = close_until(fleet, date(2022, 6, 30)).failures
    assert failure.message.endswith("`metergate partitions attach 2022-04` brings them back")


def test_an_attached_month_is_as_it_was(fleet: Database) -> None:
    close_until(fleet, date(2022, 5, 31))
    split_and_detach(fleet)
    measure(fleet, "2022-04-21T12:00:00Z", LATER)
    with fleet.transaction() as session:
        archiving.attach(session, APRIL)
        with pytest.raises(NotFound, match="is not detached"):
            archiving.attach(session, APRIL)
    with fleet.snapshot() as session:
        assert quarantine.counts(session) == {"archived": 1}
        assert usage.rollup_differences(session) == []
    assert measure(fleet, "2022-04-21T12:00:00Z", LATER) == {}
    (adjusted,) = close_until(fleet, date(2022, 6, 30)).invoices
    assert [line.net_minor for line in adjusted.lines] == [250]


def test_the_command_speaks_of_months(sqlite_url: str, fleet: Database) -> None:
    on_sqlite = CliRunner(env={"METERGATE_DATABASE_URL": sqlite_url})
    assert "there are no partitions" in on_sqlite.invoke(cli, ["partitions", "list"]).output
    runner = CliRunner(env={"METERGATE_DATABASE_URL": fleet.engine.url.render_as_string()})
    assert "2 records moved to 2022-04" in runner.invoke(cli, ["partitions", "split", "2022-04"]).output
    assert "write it as 2022-04" in runner.invoke(cli, ["partitions", "detach", "April"]).output
    listed = json.loads(runner.invoke(cli, ["partitions", "list", "--json"]).output)
    assert [(it["month"], it["state"]) for it in listed] == [("2022-04", "attached"), (None, "default")]
