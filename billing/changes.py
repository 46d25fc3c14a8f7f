"""Changes of mind about what an object is on: another plan of its contract, or another contract.

The law: the day of change belongs to what is new; everything is checked before anything is written.
"""

from dataclasses import dataclass
from datetime import date

from sqlmodel import Session

from billing.activation import ObjectInfo
from billing.core.errors import Conflict, Invalid, NotFound
from billing.core.periods import DAY
from billing.lines import Line, effective_day, lines, live_lines
from billing.recording import Said, commanded, record
from billing.succession import Target, succeed
from storage import catalogue as declared
from storage import registry
from storage.tables import Contract, Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where an object goes on from the local day `on` (the present one unless given), which is the first there.

    Without a contract it stays in its own; without a subscription it takes the one of the same name there. With
    several subscriptions at once, `instead_of` names the one that ends.
    """

    on: date | None = None
    contract: str | None = None
    subscription: str | None = None
    instead_of: str | None = None


def change_plan(session: Session, reference: str, move: Move, said: Said) -> ObjectInfo:
    """Put an object on another subscription of its contract; the day of change belongs to the new plan.

    Raises NotFound, Refused, Conflict when it is on that subscription already, or Invalid for a day outside the term.
    """
    if move.subscription is None or move.contract is not None:
        raise Invalid("a change of plan names the new subscription; another contract is a transfer")
    return _move(session, reference, move, said, command="change_plan", kind="plan_changed")


def transfer(session: Session, reference: str, move: Move, said: Said) -> ObjectInfo:
    """Put an object into another contract: billed there from the day on, and in its old one until the day before.

    Raises as change_plan does.
    """
    if move.contract is None:
        raise Invalid("a transfer names the contract that the object goes to")
    return _move(session, reference, move, said, command="transfer", kind="transferred")


def _move(session: Session, reference: str, move: Move, said: Said, *, command: str, kind: str) -> ObjectInfo:
    row, status = commanded(session, reference, command)
    line = _line_to_leave(session, row, move)
    on = effective_day(line, move.on, said.now, to_come=True)
    contract, subscription = _destination(session, line, move)
    if on < contract.starts_on:
        raise Invalid(f"contract {contract.name!r} starts on {contract.starts_on}; {on} is before that")
    left = next(item for item in line.items if item.starts_on <= on < item.ends_on)
    if left.subscription_id == subscription.id and left is line.last:
        raise Conflict(f"object {reference} is on {subscription.name!r} of {contract.name!r} already")
    _refuse_overlap(session, row, line, subscription, on)
    target = Target(on=on, contract=contract, subscription=subscription, plan_version_id=subscription.plan_version_id)
    item = succeed(session, [line], target)[row.id]
    registry.set_status(
        session,
        [row.id],
        status.value,
        customer_id=contract.customer_id,
        contract_id=declared.key(contract.id),
        subscription_id=declared.key(subscription.id),
    )
    detail = {
        "on": on.isoformat(),
        "from": {"contract": left.contract, "subscription": left.subscription},
        "to": {"contract": contract.name, "subscription": subscription.name},
    }
    return record(session, row, status, kind, said, item=item, detail=detail)


def _line_to_leave(session: Session, row: registry.ObjectRow, move: Move) -> Line:
    found = live_lines(session, row.id)
    if move.instead_of is not None:
        found = [line for line in found if line.last.subscription == move.instead_of]
    if not found:
        what = f"not on {move.instead_of!r}" if move.instead_of else "on no subscription"
        raise Conflict(f"object {row.reference} is {what} now; activate it instead")
    if len(found) > 1:
        names = tuple(line.last.subscription for line in found)
        raise Invalid(
            f"object {row.reference} is on several subscriptions; say which one ends: {', '.join(names)}",
            allowed=names,
        )
    return found[0]


def _destination(session: Session, line: Line, move: Move) -> tuple[Contract, Subscription]:
    if move.contract is None:
        contract = declared.contracts_by_id(session, [line.last.contract_id])[line.last.contract_id]
    else:
        known = declared.contracts(session, [move.contract])
        if move.contract not in known:
            raise NotFound(f"contract {move.contract!r} is not declared; apply it in a catalogue file first")
        contract = known[move.contract]
        if contract.id == line.last.contract_id:
            raise Conflict(f"{line.last.name} is in contract {contract.name!r} already; change its plan instead")
    wanted = move.subscription or line.last.subscription
    taken = declared.subscriptions(session, [declared.key(contract.id)]).get((declared.key(contract.id), wanted))
    if taken is None:
        raise NotFound(f"contract {contract.name!r} has no subscription {wanted!r}; add it to the contract")
    return contract, taken


def _refuse_overlap(
    session: Session, row: registry.ObjectRow, line: Line, subscription: Subscription, on: date
) -> None:
    for other in lines(session, [row.id])[row.id]:
        for item in other.items:
            if other.first is not line.first and item.subscription_id == subscription.id and item.ends_on > on:
                raise Conflict(
                    f"object {row.reference} is on {subscription.name!r} from {item.starts_on} to "
                    f"{item.ends_on - DAY}; that would bill it twice"
                )
