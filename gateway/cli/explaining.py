"""What `metergate invoices explain` says of an invoice: lines, shares and records, each read when it is said."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from sqlmodel import Session

from billing.core.money import exact_text, format_minor
from billing.tracing import Tracer
from gateway.cells import shown_properties
from storage import partitions
from storage.detail import ExplainedRecord, ExplainedShare, explain
from storage.invoices import find_invoice

DAY = timedelta(days=1)
Said = dict[str, Any]


def explained(session: Session, number: str) -> Iterator[Said]:
    """A mapping a line, whose `shares` and their `records` are iterators: take them in order."""
    invoice, _ = find_invoice(session, number)
    archived = partitions.archived_months(session)
    for line in explain(session, number, Tracer(session).shows):
        yield {
            "line": line.line.position,
            "label": line.line.label,
            "net": format_minor(line.line.net_minor, invoice.minor_digits),
            "shares": (_share(share, archived, invoice.minor_digits) for share in line.shares),
        }


def _share(share: ExplainedShare, archived: Sequence[date], digits: int) -> Said:
    detail = share.detail
    return {
        "object": detail.reference,
        "charge": detail.charge,
        "from": detail.starts_on,
        "to": detail.ends_on - DAY,
        "quantity": detail.quantity,
        "share": format_minor(detail.share_minor, digits),
        "archived_months": _away(share, archived),
        "register_at_start": share.opening,
        "register_at_end": share.closing,
        "quality_at_start": share.qualities[0],
        "quality_at_end": share.qualities[1],
        "records": (_record(explained) for explained in share.records),
    }


def _away(share: ExplainedShare, archived: Sequence[date]) -> list[str]:
    if share.detail.metric_id is None:
        return []
    start, end = share.detail.start_at, share.detail.end_at
    return [f"{month:%Y-%m}" for month in archived if partitions.overlaps(month, start, end)]


def _record(explained: ExplainedRecord) -> Said:
    record = explained.record
    return {
        "occurred_at": record.occurred_at,
        "received_at": record.received_at,
        "metric": record.metric,
        "quantity": record.quantity,
        "properties": record.properties,
        "id": record.discriminator,
        "origin": record.origin,
        "on_this_invoice": not (explained.late or explained.taken_back),
        "taken_back": record.reason or None,
    }


def _apart(record: Said) -> str:
    """Why a record is not on this invoice, or will not stay on it."""
    reason = record["taken_back"]
    if record["on_this_invoice"]:
        return "" if reason is None else f"  on this invoice, taken back since: {reason}"
    return "  not on this invoice: " + ("it arrived after the close" if reason is None else f"taken back: {reason}")


def explained_texts(lines: Iterator[Said]) -> Iterator[str]:
    """The same for a person, a text a row."""
    for line in lines:
        yield f"line {line['line']}: {line['label']}, net {line['net']}\n"
        for share in line["shares"]:
            quantity = exact_text(share["quantity"])
            yield f"  {share['object']} {share['from']} to {share['to']}: {quantity}, {share['share']}\n"
            if share["register_at_start"] is not None and share["register_at_end"] is not None:
                begun = f"{exact_text(share['register_at_start'])} ({share['quality_at_start']})"
                ended = f"{exact_text(share['register_at_end'])} ({share['quality_at_end']})"
                yield f"    the register went from {begun} to {ended}\n"
            if share["archived_months"]:
                months = ", ".join(share["archived_months"])
                yield f"    the usage records of {months} are archived: they are not shown\n"
            for record in share["records"]:
                late = _apart(record)
                said = f"  {shown_properties(record['properties'])}" if record["properties"] else ""
                yield (
                    f"    {record['occurred_at'].isoformat()}  {record['metric']} {exact_text(record['quantity'])}"
                    f"{said}  received {record['received_at'].isoformat()}  {record['id']}{late}\n"
                )
