"""The verification: every stored total computed again from what it was made of, and every difference told.

The law: it reads one snapshot and writes nothing; what differs is said, never mended.
"""

from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType

from sqlmodel import Session

from billing.checks import advances, coupons, documents, lives, measured, payments, registers, reversals
from billing.checks.books import Books, Finding


def verify(session: Session) -> list[Finding]:
    """Everything that differs, check by check in the order of CHECKS; no difference means that the books agree."""
    books = Books(session)
    return [finding for _, check in CHECKS.values() for finding in check(books)]


Check = Callable[[Books], Iterator[Finding]]
CHECKS: MappingProxyType[str, tuple[str, Check]] = MappingProxyType(
    {
        "rollup": ("the daily rollup is what the usage records add up to", measured.rollup),
        "numbers": ("the numbers of every series run from 1 to its last without a gap", documents.numbers),
        "invoices": ("shares add up to lines, lines to invoices, and VAT is right for each rate", documents.invoices),
        "credits": ("no line was credited by more than it states", documents.credit_notes),
        "charged": ("what was charged for each schedule is what it is worth", documents.charged),
        "quantities": ("added-up usage is what the records say that the last close saw", measured.quantities),
        "registers": (
            "a register's consumption is the difference of its values at the ends of the period",
            registers.rises,
        ),
        "chain": ("the values of a register at the ends of periods follow one another", registers.chain),
        "reversals": (
            "what stands in place of usage that was taken back is what its reversal says",
            reversals.replaced,
        ),
        "events": ("charges on events count the events of the timeline", measured.events),
        "records": ("usage that is measured record by record is what the records say", measured.recorded),
        "worth": ("each closed schedule is worth, by the plan and the usage, what was charged", measured.worth),
        "seals": ("every issued invoice says what it said when it was issued", documents.seals),
        "pools": ("pools cover the days of their items, and the parts of objects add up to their shares", lives.pools),
        "coupons": ("what coupons take off is what they had left, spread over the VAT rates", coupons.taken_off),
        "payments": ("no more was paid than a document is over, and not before it", payments.paid),
        "advances": ("what invoices took of advances was paid, and before their day", advances.taken),
        "dates": ("local days and instants agree, due days can be, closed months follow one another", lives.dates),
        "schedules": ("the schedules of each charge cover its contract item's life exactly", lives.tiles),
        "lines": ("contract items that follow one another leave no instant out, and none twice", lives.lines_of_items),
        "archived": ("months whose usage records are archived are named", measured.archived),
        "suspended": (
            "usage that came while suspended, and that the plan does not charge, is counted",
            measured.suspended,
        ),
        "held": ("readings that wait for a decision are named", registers.waiting),
        "gaps": ("what was charged although messages may be missing is counted", registers.gaps),
        "unpriced": ("usage on an invoice that has no price is named", documents.unpriced),
        "unmeasured": ("usage that no charge of its plan measures is counted", lives.unmeasured),
        "outside": ("usage records outside any contract item are counted", lives.outside),
    }
)
"""Every check: its name, what it makes sure of, and how."""


def differences(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that are wrong, without those that are only worth knowing."""
    return [finding for finding in findings if finding.severity == "difference"]
