"""What a batch is read by is remembered between batches, and seen again where the batch is written."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from sqlmodel import select

from billing import catalogue
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from storage import at_once, usage
from storage.database import Database
from storage.errors import IntakeChanged
from storage.intake import Intake, MetricRow
from storage.tables import ArchivedMonth, Metric, Quarantine
from tests.brokers import eventually
from tests.ingest.conftest import NOON, REFERENCE, stored

Make = Callable[..., Message]
FINE = "1.1234567"
"""One digit more than the metric has decimals."""


def entry(value: str, *, second: int, metric: str = "usage") -> bytes:
    return b'{"ts":"2022-04-14T11:00:%02dZ","metrics":{"%s":%s}}' % (second, metric.encode(), value.encode())


def refused(database: Database) -> list[str]:
    with database.snapshot() as session:
        return list(session.exec(select(Quarantine.reason)))


@pytest.fixture
def running(database: Database, message: Make, rules: Rules) -> Database:
    """A database that a gateway has written a message to: what it knows of the intake is remembered."""
    for second in (1, 2):  # the object is known by its topic from the second one on
        ingest_batch(database, [message(entry("1", second=second))], rules, now=NOON)
    assert database.known.intake is not None
    return database


def test_a_metric_that_is_new_is_taken_at_once(running: Database, message: Make, rules: Rules) -> None:
    with running.transaction() as session:
        session.add(Metric(name="water", unit="l", kind="delta", decimals=0))
    ingest_batch(running, [message(entry("7", second=3, metric="water"))], rules, now=NOON)
    assert refused(running) == []
    assert [it.quantity for it in stored(running) if it.quantity == 7] == [7]


def test_a_rule_that_changed_holds_for_the_next_batch(running: Database, message: Make, rules: Rules) -> None:
    with running.transaction() as session:
        session.exec(select(Metric).where(Metric.name == "usage")).one().excess_digits = "refuse"
    ingest_batch(running, [message(entry(FINE, second=3))], rules, now=NOON)
    assert len(stored(running)) == 2
    assert len(refused(running)) == 1
    ingest_batch(running, [message(entry("5", second=4))], rules, now=NOON)
    assert len(stored(running)) == 3


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_archived_month_takes_nothing_more(running: Database, message: Make, rules: Rules) -> None:
    with running.transaction() as session:
        session.add(ArchivedMonth(month_starts_on=date(2022, 4, 1), archived_at=NOON))
    ingest_batch(running, [message(entry("1", second=3))], rules, now=NOON)
    assert (len(stored(running)), refused(running)) == (2, ["archived"])


def test_nothing_is_written_by_an_intake_that_does_not_stand(running: Database) -> None:
    with running.snapshot() as session:
        old = usage.intake(session)
        object_id = usage.object_ids(session, [REFERENCE])[REFERENCE]
    with running.transaction() as session:
        session.add(Metric(name="water", unit="l", kind="delta", decimals=0))
    fact = usage.Fact(1_649_930_400_000_000, object_id, old.metrics["usage"].id, "", 1, 1, "mqtt")
    with pytest.raises(IntakeChanged, match="try again"), running.transaction() as session:
        usage.record(session, [fact], read_by=old)
    assert len(stored(running)) == 2


DECLARED = "metrics: [{name: usage, unit: unit, kind: delta, decimals: 2}]"


def waits(database: Database) -> bool:
    """Whether a transaction waits for a lock."""
    with database.snapshot() as session:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(session.connection().exec_driver_sql(query).scalar_one())


@pytest.fixture
def first_fact(database: Database) -> tuple[usage.Fact, usage.Intake]:
    """The first usage of a metric, and what it was read by."""
    with database.snapshot() as session:
        old = usage.intake(session)
        object_id = usage.object_ids(session, [REFERENCE])[REFERENCE]
    return usage.Fact(1_649_930_400_000_000, object_id, old.metrics["usage"].id, "", 1, 1, "mqtt"), old


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("steps", [0, 1])
def test_usage_that_comes_while_its_metric_changes_waits_and_is_read_again(
    database: Database, first_fact: tuple[usage.Fact, usage.Intake], steps: int
) -> None:
    fact, old = first_fact

    def record() -> None:
        with database.transaction() as session:
            session.connection().info[at_once.REPEATS] = steps
            usage.record(session, [fact], read_by=old)

    with ThreadPoolExecutor(1) as other:
        with database.transaction() as session:
            catalogue.apply(session, catalogue.load(DECLARED), NOON)
            recording = other.submit(record)
            eventually(lambda: waits(database), "it waits")
        with pytest.raises(IntakeChanged):
            recording.result(10)
    assert stored(database) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("steps", [0, 1])
def test_a_metric_that_changes_while_its_first_usage_is_written_waits_and_is_refused(
    database: Database, first_fact: tuple[usage.Fact, usage.Intake], steps: int
) -> None:
    fact, old = first_fact

    def change() -> None:
        with database.transaction() as session:
            catalogue.apply(session, catalogue.load(DECLARED), NOON)

    with ThreadPoolExecutor(1) as other:
        with database.transaction() as session:
            session.connection().info[at_once.REPEATS] = steps
            usage.record(session, [fact], read_by=old)
            changing = other.submit(change)
            eventually(lambda: waits(database), "it waits")
        with pytest.raises(catalogue.CatalogueInvalid, match="was measured with decimals 6"):
            changing.result(10)


def test_what_the_database_says_is_what_stands_in_its_tables(database: Database) -> None:
    name = 'énergie "kWh" \\ 1'
    with database.transaction() as session:
        session.add(Metric(name=name, unit="kWh", kind="delta", decimals=3, excess_digits="refuse"))
    with database.snapshot() as session:
        found = usage.intake(session)
        rows = {it.name: MetricRow(it.id or 0, it.kind, it.decimals, "round") for it in session.exec(select(Metric))}
    assert found.metrics == {**rows, name: rows[name]._replace(excess_digits="refuse")}
    assert found.archived == frozenset()
    assert Intake.of(found.text) == found


def test_the_months_of_a_text() -> None:
    assert Intake.of('[null, ["2022-03-01", "2022-04-01"]]').archived == {date(2022, 3, 1), date(2022, 4, 1)}
