"""Making a contract's stored coupons what a file declares; what a document took of one keeps its terms.

Nothing is removed: a coupon that the file leaves out stays.
"""

from typing import Any, Literal

from sqlmodel import Session

from billing.catalogue.change import Change
from billing.catalogue.models import ContractModel, CouponModel
from billing.core.money import minor_digits
from storage import catalogue as stored
from storage import coupons
from storage.tables import Contract, Coupon

Problems = list[tuple[str, str]]
"""Place below the contract, and what is wrong there."""


def apply_coupons(session: Session, contract: ContractModel, row: Contract) -> tuple[list[Change], Problems]:
    """What the coupons of a declared contract change; raises the contract's revision where they do."""
    changes: list[Change] = []
    problems: Problems = []
    if not contract.coupons:
        return changes, problems
    contract_id = stored.key(row.id)
    subscriptions = {name for _, name in stored.subscriptions(session, [contract_id])} | set(contract.subscriptions)
    present = {coupon.name: coupon for coupon in coupons.of_contracts(session, [contract_id])}
    for n, coupon in enumerate(contract.coupons):
        place = f"coupons[{n}]"
        wrong = _wrong(coupon, row.currency, subscriptions)
        if wrong is not None:
            problems.append((f"{place}.{wrong[0]}", wrong[1]))
            continue
        values = {
            "name": coupon.name,
            "amount": coupon.amount,
            "periods": coupon.periods,
            "subscription": coupon.subscription,
            "rest": coupon.rest,
            "starts_on": coupon.starts_on or row.starts_on,
        }
        found = present.get(coupon.name)
        changed = [] if found is None else [key for key, value in values.items() if getattr(found, key) != value]
        if found is not None and changed and coupons.any_used(session, stored.key(found.id)):
            problems.append(
                (place, f"coupon {coupon.name} was taken off an invoice, so its terms stay; declare another coupon")
            )
            continue
        kind = _save(session, found, {"contract_id": contract_id, **values}, changed=bool(changed))
        if kind != "unchanged":
            stored.raise_revisions(session, [contract_id])
        label = f"{contract.name} / {coupon.name}"
        changes.append(Change(kind=kind, noun="coupon", name=label, detail=", ".join(changed)))
    return changes, problems


def _save(
    session: Session, found: Coupon | None, values: dict[str, Any], *, changed: bool
) -> Literal["created", "changed", "unchanged"]:
    if found is None:
        stored.add(session, Coupon(**values))
        return "created"
    if not changed:
        return "unchanged"
    for key, value in values.items():
        setattr(found, key, value)
    stored.add(session, found)
    return "changed"


def _wrong(coupon: CouponModel, currency: str, subscriptions: set[str]) -> tuple[str, str] | None:
    """The key that is wrong, and why."""
    if coupon.amount <= 0:
        return "amount", "the amount of a coupon is above zero"
    if coupon.currency not in {None, currency}:
        return "currency", f"the contract is in {currency}, and a coupon is in the currency of its contract"
    digits = minor_digits(currency)
    if (coupon.amount * 10**digits).denominator != 1:
        return "amount", f"an amount in {currency} has at most {digits} decimals"
    if coupon.subscription is not None and coupon.subscription not in subscriptions:
        return "subscription", f"the contract has no subscription {coupon.subscription!r}; add it or correct the name"
    return None
