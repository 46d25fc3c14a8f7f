"""What `verify` tells of usage that nobody pays: inside a contract item, but of no charge, or without a price.

The law: usage may be free because a plan says so, never because nobody saw it.
"""

from collections import defaultdict
from collections.abc import Iterator

from sqlmodel import Session

from billing.core.charges import Usage, charge_from
from billing.core.errors import Invalid
from billing.core.money import exact_text
from storage import coverage, records
from storage.coverage import Kind
from storage.properties import parsed

Told = tuple[str, str]
"""What it is about, and the sentence."""


def unmeasured(session: Session) -> Iterator[Told]:
    """Usage that no charge of its object's plans measures, by metric."""
    charges: dict[tuple[int, int], list[Usage]] = defaultdict(list)
    for row in records.usage_charges(session):
        try:
            charge = charge_from(row.definition)
        except Invalid:  # a charge that is not understood fails its contract; its usage is not called unmeasured here
            return
        if isinstance(charge, Usage) and row.metric_id is not None:
            charges[row.plan_version_id, row.metric_id].append(charge)

    def is_measured(kind: Kind) -> bool:
        return any(
            charge.calculator.filter is None or charge.calculator.filter.takes(parsed(kind.content))
            for charge in charges.get((kind.plan_version_id, kind.metric_id), [])
        )

    kinds = coverage.kinds_of_usage(session)
    measured = [kind for kind in kinds if is_measured(kind)]
    if len(measured) < len(kinds):
        for metric, count, objects in coverage.unmeasured(session, measured):
            message = f"{count} usage records of {metric} of {objects} objects are measured by no charge of their plan"
            yield metric, f"{message}: nobody pays them"


def unpriced(session: Session) -> Iterator[Told]:
    """Usage that is on an invoice at 0 because its value has no price, by invoice."""
    for invoice, label, quantity in coverage.unpriced(session):
        message = f"{exact_text(quantity)} of {label} are on {invoice} at 0; give the value a price, or a default"
        yield invoice, message
