"""Values of registers that a person gave at the ends of periods: kept when something around them changes.

The law: what a person said of a register stands as long as its readings allow it; it is counted on with them, where an
exchange or a reading that is accepted changes what the register had counted by then.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlmodel import Session

from billing.closing.walking import registry_of, walk_registers
from billing.core.registers import Probe
from storage import measuring, registers
from storage.registers import StoredBoundary

EVER = 2**62
"""An instant after all readings."""


@contextmanager
def replaced_values(session: Session, *, object_id: int, metric_id: int) -> Iterator[None]:
    """Around a change that forgets values of a register: those that a person gave are put back where they still fit."""
    given = [it for it in registers.boundaries_of(session, object_id, metric_id) if it.quality == "replaced"]
    if not given:
        yield
        return
    before = _probes(session, object_id, metric_id, given)
    yield
    left = {it.at for it in registers.boundaries_of(session, object_id, metric_id)}
    after = _probes(session, object_id, metric_id, given)
    back = [
        (object_id, metric_id, it.at, moved, it.quality)
        for it in given
        if it.at not in left
        for moved in (it.quantity + after[it.at].offset - before[it.at].offset,)
        if _fits(moved, after[it.at])
    ]
    measuring.store_boundaries(session, back)


def _probes(session: Session, object_id: int, metric_id: int, given: list[StoredBoundary]) -> dict[int, Probe]:
    known = registry_of(session)
    instants = [it.at for it in given]
    return walk_registers(known, metric_id, {object_id}, instants, until=EVER)[object_id].probes


def _fits(quantity: int, around: Probe) -> bool:
    low = around.before is None or around.before.quantity <= quantity
    return low and (around.after is None or quantity <= around.after.quantity)
