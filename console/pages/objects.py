"""One object: why it is billed, or why it is not; what it used, and what it is told."""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from sqlmodel import Session
from starlette.responses import Response

from billing.access import Permission, permission_of
from billing.core.errors import NotFound
from billing.core.lifecycle import ObjectStatus, allowed_commands
from billing.core.money import minor_digits
from console.asking import Ask, Page
from console.charts import Chart, Series, months_back, over
from console.pages import commanding
from console.pages.reasons import why_not_billed
from storage import browsing, downlink, items, one_object, registry
from storage.one_object import DayOfUsage
from storage.tables import Metric

TIMELINE_ROWS = 40
RECORDS_OF_A_DAY = 500
SHOWN = 10
"""Last days with usage, requests and commands."""
DAYS = 60
"""The range of the chart unless one is asked for."""
DAYS_AS_DAYS = 120
"""A longer range is shown by months."""
RANGE_LIMIT_DAYS = 3660


def show(ask: Ask, *, preview: Any = None) -> Response:
    """The page of an object."""
    reference = ask.part("reference")
    with ask.house.database.snapshot() as session:
        found = registry.list_objects(session, references=[reference])
        if not found:
            raise NotFound(f"no object is called {reference!r}; the fleet shows those that are")
        it = found[0]
        own = items.of_objects(session, [it.id])
        schedules = {item.id: items.schedules(session, item.id) for item in own}
        every = [schedule for each in schedules.values() for schedule in each]
        metrics = one_object.metrics_used(session, it.id)
        values: dict[str, Any] = {
            "it": it,
            "presence": registry.presence(session, it.id),
            "timeline": registry.timeline(session, it.id, TIMELINE_ROWS)[::-1],
            "items": own[::-1],
            "schedules": schedules,
            "digits": {item.id: minor_digits(item.currency) for item in own},
            "suspensions": items.suspensions(session, [item.id for item in own]),
            "charges": one_object.charge_names(session, every),
            "documents": one_object.invoiced_on(session, every),
            "metrics": metrics,
            "heard": one_object.last_heard(session, it.id, metrics, SHOWN),
            "refused": one_object.refused(session, reference, SHOWN),
            "requests": one_object.requests(session, reference, SHOWN),
            "told": downlink.of_object(session, it.id, SHOWN)[::-1],
            "usage": _usage(ask, session, it.id, metrics),
            "contracts": browsing.contract_names(session, limit=200),
            "subscriptions": browsing.subscription_names(session, it.contract) if it.contract else (),
        }
    return ask.page(
        "object.html",
        **values,
        reasons=why_not_billed(ask, values),
        commands=[name for name in allowed_commands(ObjectStatus(it.status)) if name in commanding.FIELDS],
        fields=commanding.FIELDS,
        permissions={command: permission_of(command) for command in commanding.FIELDS},
        can_be_activated="activate" in allowed_commands(ObjectStatus(it.status)),
        request=commanding.request_id(),
        preview=preview,
    )


def _usage(ask: Ask, session: Session, object_id: int, metrics: Sequence[Metric]) -> dict[str, Any] | None:
    """The usage chart of the metric and range that are asked for; None when there is no usage."""
    if not metrics:
        return None
    metric = next((each for each in metrics if each.name == ask.typed("metric")), metrics[0])
    last = ask.day("to") or one_object.last_day_of_usage(session, object_id, metric.id or 0) or ask.now.date()
    first = ask.day("from") or last - timedelta(days=DAYS - 1)
    first = max(min(first, last), last - timedelta(days=RANGE_LIMIT_DAYS))
    days = one_object.usage_by_day(session, object_id, metric, first, last)
    return {"metric": metric, "first": first, "last": last, "chart": _chart(ask, metric, days, first, last)}


def _chart(ask: Ask, metric: Metric, days: Sequence[DayOfUsage], first: date, last: date) -> Chart:
    """What a delta adds up to, what a register stands at, what a gauge reached at most: by day, or by month."""
    label = f"{metric.name} ({metric.unit})"
    adds = metric.kind == "delta"
    by_day = {it.day: it.total if adds else it.last if metric.kind == "cumulative" else it.greatest for it in days}
    span = (last - first).days + 1
    series: Sequence[Fraction | int | None]
    if span <= DAYS_AS_DAYS:
        x = [first + timedelta(days=n) for n in range(span)] if adds else sorted(by_day)
        series = over(x, by_day)
        drawn = [Series(label=label, values=series)]
        return Chart(unit="day", x=x if days else (), series=drawn, language=ask.language, line=not adds)
    months = months_back(last, (last.year - first.year) * 12 + last.month - first.month + 1)
    found: dict[date, Any] = {}
    for day, value in by_day.items():
        month = day.replace(day=1)
        found[month] = found.get(month, 0) + value if adds else value
    series = over(months, found) if adds else [found.get(it) for it in months]
    drawn = [Series(label=label, values=series)]
    return Chart(unit="month", x=months if days else (), series=drawn, language=ask.language)


def _preview(ask: Ask) -> Response:
    return show(ask, preview=commanding.previewed(ask, ask.part("reference")))


def show_records(ask: Ask) -> Response:
    """The usage records of an object on one day."""
    reference = ask.part("reference")
    with ask.house.database.snapshot() as session:
        row = registry.find(session, [reference]).get(reference)
        metrics = one_object.metrics_used(session, row.id) if row else []
        metric = next((each for each in metrics if each.name == ask.typed("metric")), None)
        day = ask.day("day")
        if row is None or metric is None or day is None:
            raise NotFound(f"{reference!r} has no such usage; its page shows what it sent")
        records = one_object.records_of_day(session, row.id, metric, day, RECORDS_OF_A_DAY)
    return ask.page(
        "records.html", reference=reference, metric=metric, day=day, records=records, limit=RECORDS_OF_A_DAY
    )


PAGES = (
    Page(
        path="/objects/{reference}",
        show=show,
        needs=Permission.READ_FLEET,
        actions={
            "preview": (Permission.READ_FLEET, _preview),
            **{command: (permission_of(command), commanding.doing(command)) for command in commanding.FIELDS},
        },
    ),
    Page(path="/objects/{reference}/records", show=show_records, needs=Permission.READ_FLEET),
)
