"""What `verify` checks of pools beside their worth: their days, and the parts of their objects."""

from collections.abc import Iterator

from sqlmodel import Session

from billing.closing.reader import MonthReader
from billing.core.money import exact_text
from billing.core.periods import DAY
from billing.pooling import pools_of
from storage import closing, pools, verifying
from storage.tables import Contract

Difference = tuple[str, str]
"""What it is about, and the sentence."""
CHARGED = {"invoiced", "settled"}


def pool_differences(session: Session, reader: MonthReader) -> Iterator[Difference]:
    """Everything about pools that is not as it must be; nothing is read where no plan has any."""
    if not reader.pool_charges:
        return
    for contract in closing.contracts(session):
        (row,) = pools.contracts(session, [contract.id])
        yield from _days(session, reader, row)
    yield from _parts(session)


def _days(session: Session, reader: MonthReader, contract: Contract) -> Iterator[Difference]:
    for pool in pools_of(session, contract, reader.pool_charges.values()):
        there = {
            (it.nominal_starts_on, it.starts_on, it.ends_on) for it in pool.known.values() if it.status != "cancelled"
        }
        wanted = {(it.period.nominal_starts_on, it.period.starts_on, it.period.ends_on) for it in pool.wanted}
        if pool.charge.row.type == "one_time":
            there, wanted = {it for it in there if not wanted}, {it for it in wanted if not there}
        subject = f"{contract.name}, {pool.charge.row.name}"
        for what, found in (("is missing", wanted - there), ("is not of its items", there - wanted)):
            for _, starts_on, ends_on in sorted(found):
                yield subject, f"the pool of {subject} from {starts_on} to {ends_on - DAY} {what}"


def _parts(session: Session) -> Iterator[Difference]:
    parts = pools.parts_of_shares(session)
    for share in verifying.shares(session):
        found = parts.pop((share.line_id, share.schedule_id), None)
        if found is not None and found[1:] != (share.amount, share.share_minor):
            subject = f"schedule {share.schedule_id} on line {share.line_id}"
            yield subject, f"what the objects have of {subject} adds up to {exact_text(found[1])}, not to its share"
    for line_id, schedule_id in parts:
        yield f"line {line_id}", f"objects have a part of schedule {schedule_id}, which line {line_id} does not have"
