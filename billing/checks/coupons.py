"""What coupons took, computed again document by document in the order of issue, from what was left of each then."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from billing.checks.books import Books, Finding
from billing.closing.coupons import coupon_of
from billing.core.coupons import Coupon, Rate, Reducible, reduction
from billing.core.money import exact_text, format_minor
from storage import coupons as stored
from storage.coupons import ReducedLine
from storage.tables import Invoice

Taken = dict[int, dict[date, int]]
"""By coupon and billing month."""


def taken_off(books: Books) -> Iterator[Finding]:
    """Every coupon that does not take what it should, or takes nothing where it had something left."""
    coupons = stored.all_coupons(books.session)
    known = {key: coupon_of(*found) for key, found in coupons.items()}
    contract_of = {row.contract_id: name for row, name, _ in coupons.values()}
    taken: Taken = defaultdict(lambda: defaultdict(int))
    months: dict[int, date] = {}
    for invoice, lines in stored.reducible(books.session):
        month = months.setdefault(invoice.id or 0, invoice.month_starts_on)
        if invoice.credits_id is None:
            wrong = _invoice(invoice, lines, known, taken, contract_of)
        else:
            month = months.get(invoice.credits_id, month)
            wrong = _note(invoice, lines)
        for message in wrong:
            yield Finding(check="coupons", subject=invoice.number or "", message=message)
        for line in lines:
            if line.coupon_id is not None:
                taken[line.coupon_id][month] += line.taken_minor or 0


def _invoice(
    invoice: Invoice,
    lines: Sequence[ReducedLine],
    known: Mapping[int, Coupon],
    taken: Taken,
    contract_of: Mapping[int, str],
) -> Iterator[str]:
    month = invoice.month_starts_on
    on_it = {line.coupon_id for line in lines if line.coupon_id is not None}
    # Only where a document is for several contracts do its coupons, and its lines, say whose they are.
    of_many = any(line.contract for line in lines if line.coupon_id is not None or not on_it)
    before = [_reducible(line, of_many=of_many) for line in lines if line.coupon_id is None]
    # A coupon that was taken before was there: it should have been taken here too, where it had anything left.
    there = taken.keys() if (invoice.kind, invoice.purpose) == ("invoice", "period") else ()
    whose = {line.contract for line in lines} if of_many else {contract_of.get(invoice.contract_id, "")}
    for coupon_id in sorted(on_it | {it for it in there if known[it].contract in whose}):
        coupon = known[coupon_id]
        owed = reduction(coupon, coupon.left(taken[coupon_id], month), before)
        stated: dict[Rate, tuple[int, int]] = {
            (line.vat_category, line.vat_rate): (-line.net_minor, line.taken_minor or 0)
            for line in lines
            if line.coupon_id == coupon_id
        }
        for rate in sorted(owed.keys() | stated.keys()):
            off, (net, used) = owed.get(rate, 0), stated.get(rate, (0, 0))
            if (net, used) != (off, off):
                yield (
                    f"coupon {coupon.name} takes {format_minor(off, invoice.minor_digits)} off VAT {rate[0]} "
                    f"{exact_text(rate[1])} % of {invoice.number}, the invoice states "
                    f"{format_minor(net, invoice.minor_digits)} and {format_minor(used, invoice.minor_digits)} is used"
                )
        contract = coupon.contract if of_many else ""
        before += [Reducible(rate, contract, coupon.subscription or "", -off) for rate, off in owed.items()]


def _note(invoice: Invoice, lines: Sequence[ReducedLine]) -> Iterator[str]:
    for line in lines:
        given_back = line.net_minor if invoice.purpose == "cancellation" else 0
        if line.coupon_id is not None and line.taken_minor != given_back:
            stated, owed = (format_minor(it, invoice.minor_digits) for it in (line.taken_minor or 0, given_back))
            yield f"line {line.position} of {invoice.number} uses {stated} of its coupon, not {owed}"


def _reducible(line: ReducedLine, *, of_many: bool) -> Reducible:
    return Reducible(
        (line.vat_category, line.vat_rate), line.contract if of_many else "", line.subscription, line.net_minor
    )
