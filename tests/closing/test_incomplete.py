"""Where messages may be missing, the close says so, the document says so, or the invoice waits for a person."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlmodel import select

from billing.closing.incomplete import Incomplete
from billing.core.errors import Invalid, Refused
from billing.gaps import accept
from billing.verify import verify
from gateway.documents.facts import facts_of
from gateway.documents.language import Speech
from storage import gaps, sealing
from storage.database import Database
from storage.gaps import WhichGaps
from storage.tables import Invoice, ReceptionGap, Webhook, WebhookDelivery
from tests.closing.fleet import MUCH_LATER, Fleet

APRIL = date(2022, 4, 30)
MAY = date(2022, 5, 31)
LATER, EVEN_LATER = MUCH_LATER + timedelta(hours=1), MUCH_LATER + timedelta(hours=2)


def lose(
    database: Database,
    since: str,
    until: str | None,
    *,
    object_id: int | None = None,
    metric_id: int | None = None,
    recorded_at: datetime = MUCH_LATER,
) -> int:
    """A gap, as what watches for them records it."""
    with database.transaction() as session:
        gap = ReceptionGap(
            reason="session_lost" if object_id is None else "silent",
            object_id=object_id,
            metric_id=metric_id,
            starts_at=datetime.fromisoformat(since),
            ends_at=None if until is None else datetime.fromisoformat(until),
            recorded_at=recorded_at,
        )
        session.add(gap)
        session.flush()
        assert gap.id is not None
        return gap.id


def told(fleet: Fleet, until: date, *, dry_run: bool = False) -> list[tuple[str, str, int, bool]]:
    report = fleet.close(until, dry_run=dry_run)
    return [(found.contract, found.reason, found.objects, found.held) for found in report.incomplete]


def test_an_invoice_whose_usage_may_be_missing_says_so(database: Database) -> None:
    fleet = Fleet(database)
    fleet.activate("IOT_1")
    fleet.activate("IOT_2")
    fleet.uses("IOT_1", 12, "2022-04-14T10:00:00+00:00")
    lose(database, "2022-04-20T10:00:00+00:00", "2022-04-21T12:00:00+00:00")
    rehearsed = fleet.close(APRIL, dry_run=True)
    report = fleet.close(APRIL)
    assert rehearsed.incomplete == report.incomplete
    (found,) = report.incomplete
    assert (found.reason, found.schedules, found.objects, found.held) == ("session_lost", 2, 2, False)
    (invoice,) = report.invoices
    assert invoice.incomplete == (
        {
            "reason": "session_lost",
            "from": "2022-04-20T10:00:00+00:00",
            "until": "2022-04-21T12:00:00+00:00",
            "gaps": 1,
        },
    )
    facts = facts_of(invoice)
    assert Speech("en", "EUR").noted(facts.note, facts.lacking) == (
        "Usage between 20 Apr 2022 and 21 Apr 2022 may be incomplete; what comes later is on a later invoice."
    )
    assert "incomplètes du 20 avr. 2022 au 21 avr. 2022" in Speech("fr", "EUR").noted(facts.note, facts.lacking)
    assert fleet.close(MAY).incomplete == (), "the gap is in April"


def test_a_gap_of_one_object_touches_that_object_alone(database: Database) -> None:
    one, other = Fleet(database), Fleet(database, contract="Another Contract")
    one.activate("IOT_1")
    one.activate("IOT_2")
    other.activate("IOT_3")
    lose(database, "2022-04-20T10:00:00+00:00", None, object_id=one.ids["IOT_1"], metric_id=one.metric_id)
    assert told(one, APRIL) == [("IOT Fleet Contract", "silent", 1, False)]
    assert told(one, MAY) == [("IOT Fleet Contract", "silent", 1, False)], "it lasts"


def test_a_register_that_has_a_reading_after_the_gap_is_whole(database: Database) -> None:
    fleet = Fleet(database, kind="cumulative")
    for reference in ("IOT_1", "IOT_2"):
        fleet.activate(reference)
        fleet.uses(reference, 100, "2022-04-01T10:00:00+00:00")
    lose(database, "2022-04-10T00:00:00+00:00", "2022-04-12T00:00:00+00:00")
    assert told(fleet, APRIL, dry_run=True) == [("IOT Fleet Contract", "session_lost", 2, False)]
    fleet.uses("IOT_1", 150, "2022-04-12T00:00:00+00:00")
    assert told(fleet, APRIL) == [("IOT Fleet Contract", "session_lost", 1, False)], "IOT_2 has not spoken since"


def test_a_gap_that_is_found_after_the_invoice_is_told_by_the_next_close_once(database: Database) -> None:
    fleet = Fleet(database, terms={"incomplete": "hold"})
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 12, "2022-04-14T10:00:00+00:00")
    assert told(fleet, APRIL) == []
    lose(database, "2022-04-20T10:00:00+00:00", "2022-04-21T12:00:00+00:00", recorded_at=LATER)
    report = fleet.close(MAY, EVEN_LATER)
    (found,) = report.incomplete
    assert (found.month_starts_on, found.as_json()["invoice"]) == (date(2022, 4, 1), "issued")
    assert report.months == 1, "nothing of May is missing, and April is invoiced: nothing is held"
    with database.snapshot() as session:
        (finding,) = verify(session)
    assert (finding.check, finding.severity) == ("gaps", "information")
    assert fleet.close(date(2022, 6, 30), EVEN_LATER).incomplete == ()


def test_a_contract_may_hold_its_invoice_until_a_person_accepts_the_gap(database: Database) -> None:
    fleet = Fleet(database, terms={"incomplete": "hold"})
    other = Fleet(database, contract="Another Contract")
    for each, reference in ((fleet, "IOT_1"), (other, "IOT_2")):
        each.activate(reference)
        each.uses(reference, 12, "2022-04-14T10:00:00+00:00")
    gap_id = lose(database, "2022-04-20T10:00:00+00:00", "2022-04-21T12:00:00+00:00")
    first = fleet.close(MAY)
    assert [(it.contract, it.held) for it in first.incomplete] == [
        ("Another Contract", False),
        ("IOT Fleet Contract", True),
    ]
    assert {invoice.contract for invoice in first.invoices} == {"Another Contract"}, "the later months wait too"
    with database.transaction() as session:
        with pytest.raises(Invalid):
            accept(session, WhichGaps(ids=[gap_id]), why=" ", now=MUCH_LATER)
        assert len(accept(session, WhichGaps(ids=[gap_id]), why="nothing was sent at night", now=MUCH_LATER)) == 1
        with pytest.raises(Refused, match="no open gap"):
            accept(session, WhichGaps(ids=[gap_id]), why="again", now=MUCH_LATER)
    second = fleet.close(MAY)
    assert second.incomplete == ()
    assert [(it.contract, it.incomplete) for it in second.invoices] == [("IOT Fleet Contract", ())]
    with database.snapshot() as session:
        (listed,) = gaps.listed(session)
        assert (listed.gap.cleared_by, listed.gap.cleared_why) == ("accepted", "nothing was sent at night")
        assert gaps.count(session, open_only=True) == 0


def heard(database: Database) -> list[tuple[str, str, str]]:
    """What webhooks are told of months that may lack usage: contract, month, and what became of the invoice."""
    with database.snapshot() as session:
        rows = session.exec(select(WebhookDelivery.payload).where(WebhookDelivery.event == "period.incomplete")).all()
    found = [json.loads(row)["data"] for row in rows]
    return sorted((it["contract"], it["month"], it["invoice"]) for it in found)


def test_webhooks_hear_of_it_once_also_where_nothing_is_invoiced_or_it_is_held(database: Database) -> None:
    with database.transaction() as session:
        url, events = "https://billing.example.com/", ["period.incomplete"]
        session.add(Webhook(url=url, events=events, secret="whsec_", created_at=MUCH_LATER))
    silent = Fleet(database)
    silent.activate("IOT_1")
    held = Fleet(database, contract="Held Contract", terms={"incomplete": "hold"})
    held.activate("IOT_2")
    lose(database, "2022-04-20T10:00:00+00:00", "2022-04-21T12:00:00+00:00")
    silent.close(APRIL, dry_run=True)
    assert heard(database) == []
    expected = [("Held Contract", "2022-04", "held"), ("IOT Fleet Contract", "2022-04", "noted")]
    assert silent.close(APRIL).invoices == ()
    assert heard(database) == expected
    silent.close(APRIL)
    assert heard(database) == expected, "the next close knows nothing new"


def test_only_what_a_site_is_invoiced_for_is_noted_on_its_invoice(database: Database) -> None:
    fleet = Fleet(database, terms={"invoicing": "attribute:site"})
    for reference, site in (("IOT_1", "north"), ("IOT_2", "south")):
        fleet.activate(reference, attributes={"site": site})
        fleet.uses(reference, 12, "2022-04-14T10:00:00+00:00")
    lose(database, "2022-04-20T10:00:00+00:00", "2022-04-21T12:00:00+00:00", object_id=fleet.ids["IOT_2"])
    report = fleet.close(APRIL)
    assert {invoice.part[1]: len(invoice.incomplete) for invoice in report.invoices} == {"north": 0, "south": 1}


def test_what_may_be_missing_is_sealed_with_the_invoice(sqlite_database: Database) -> None:
    fleet = Fleet(sqlite_database)
    fleet.activate("IOT_1")
    fleet.uses("IOT_1", 12, "2022-04-14T10:00:00+00:00")
    lose(sqlite_database, "2022-04-20T10:00:00+00:00", "2022-04-21T12:00:00+00:00")
    fleet.close(APRIL)
    with sqlite_database.transaction() as session:
        assert dict(sealing.issued_digests(session.connection())) == sealing.seals(session.connection())
        session.get_one(Invoice, 1).incomplete = []
    with sqlite_database.snapshot() as session:
        assert dict(sealing.issued_digests(session.connection())) != sealing.seals(session.connection())


def test_a_gap_row_says_what_a_program_needs() -> None:
    found = Incomplete(
        contract="IOT Fleet Contract",
        month_starts_on=date(2022, 4, 1),
        reason="silent",
        since=datetime(2022, 4, 20, tzinfo=UTC),
        until=None,
        gaps=(1, 2),
        schedules=2,
        objects=2,
        held=True,
    )
    assert found.as_json()["invoice"] == "held"
