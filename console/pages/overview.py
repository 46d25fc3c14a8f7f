"""The overview: how the fleet is, what came in and was billed, what is due, and what needs a decision."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from sqlmodel import Session
from starlette.responses import Response

from billing.access import Permission
from console.asking import Ask, Page
from console.charts import Chart, Series, months_back, over
from console.languages import noted
from storage import browsing, close_runs, dashboard, quarantine, registry
from storage.tables import OBJECT_STATUSES, CloseRun

DAYS, MONTHS = 60, 12
REFUSED_LOOKED_AT = 5_000
"""The last refused messages: those that the chart counts."""
CURRENCIES_SHOWN = 3
DUE_SHOWN = 8
READY = {
    "draft": noted("Drafts that are not confirmed: %(count)s"),
    "pending": noted("Objects that are not activated: %(count)s"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Something that waits for a person."""

    sentence: str
    path: str


def show(ask: Ask) -> Response:
    """The first page after the sign-in."""
    today = ask.now.date()
    with ask.house.database.snapshot() as session:
        statuses = registry.count_by_status(session)
        refused = quarantine.counts(session)
        drafts = dashboard.draft_count(session) if ask.may(Permission.READ_BILLING) else 0
        closed = (
            next(iter(close_runs.newest(session, before=None, limit=1)), None)
            if ask.may(Permission.READ_BILLING)
            else None
        )
        due = browsing.due_contracts(session, limit=DUE_SHOWN) if ask.may(Permission.READ_BILLING) else []
    return ask.page(
        "overview.html",
        statuses=[(word, statuses.get(word, 0)) for word in OBJECT_STATUSES],
        decisions=list(_decisions(ask, statuses, refused, drafts, closed)),
        due=due,
        today=today,
    )


def show_charts(ask: Ask) -> Response:
    """What came in and was billed over time; the overview asks for it once it is there, as days are counted anew."""
    with ask.house.database.snapshot() as session:
        charts = list(_charts(ask, session, ask.now.date()))
    return ask.page("overview_charts.html", charts=charts)


def _decisions(
    ask: Ask, statuses: dict[str, int], refused: dict[str, int], drafts: int, closed: CloseRun | None
) -> Iterator[Decision]:
    number = ask.language.number
    if drafts:
        sentence = ask.say(noted("Invoices that wait for approval: %(count)s"), count=number(drafts))
        yield Decision(sentence=sentence, path="/invoices?status=draft")
    if refused:
        sentence = ask.say(noted("Messages in quarantine: %(count)s"), count=number(sum(refused.values())))
        yield Decision(sentence=sentence, path="/quarantine")
    if closed is not None and closed.status != "running":
        failures = len((closed.report or {}).get("failures", ()))
        if closed.status == "failed":
            yield Decision(sentence=ask.say(noted("The last close failed")), path=f"/close/{closed.id}")
        elif failures:
            sentence = ask.say(noted("Contracts that the last close left open: %(count)s"), count=number(failures))
            yield Decision(sentence=sentence, path=f"/close/{closed.id}")
    for status, told in READY.items():
        if statuses.get(status):
            sentence = ask.say(told, count=number(statuses[status]))
            yield Decision(sentence=sentence, path=f"/fleet?status={status}")


def _charts(ask: Ask, session: Session, today: date) -> Iterator[tuple[str, Chart]]:
    days = [today - timedelta(days=DAYS - 1 - n) for n in range(DAYS)]
    months = months_back(today, MONTHS)
    counts = ask.house.day_counts.between(session, months[0], today)
    refused = Counter(at.date() for at in dashboard.refused_at(session, REFUSED_LOOKED_AT))
    told = ask.say(noted("Usage records"))
    yield (
        ask.say(noted("Usage records, 60 days")),
        Chart(unit="day", x=days, series=[Series(label=told, values=over(days, counts))], language=ask.language),
    )
    yield (
        ask.say(noted("Refused messages, 60 days")),
        Chart(
            unit="day",
            x=days,
            series=[Series(label=ask.say(noted("Refused messages")), values=over(days, refused))],
            language=ask.language,
        ),
    )
    by_month: Counter[date] = Counter()
    for day, count in counts.items():
        by_month[day.replace(day=1)] += count
    yield (
        ask.say(noted("Usage records by month")),
        Chart(
            unit="month", x=months, series=[Series(label=told, values=over(months, by_month))], language=ask.language
        ),
    )
    if not ask.may(Permission.READ_BILLING):
        return
    found: dict[str, dict[date, Fraction]] = {}
    for row in dashboard.revenue(session, months[0]):
        net = Fraction(row.net_minor, 10**row.minor_digits)
        found.setdefault(row.currency, {})[row.month_starts_on] = net
    series = [Series(label=currency, values=over(months, values)) for currency, values in sorted(found.items())][
        :CURRENCIES_SHOWN
    ]
    yield (
        ask.say(noted("Revenue by month, net")),
        Chart(unit="month", x=months if series else (), series=series, language=ask.language),
    )


PAGES = (Page(path="/", show=show), Page(path="/overview/charts", show=show_charts))
