"""Checks of what was issued: numbers, sums, tax, credit notes, seals."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import cast

from billing.checks import coverage
from billing.checks.books import Books, Finding, name_of
from billing.core.crediting import Rate, vat_of_credit
from billing.core.money import exact_text, format_minor, round_half_away
from billing.core.numbering import InvoiceKind, number
from billing.core.numbering import series as series_of
from storage import sealing, verifying
from storage.verifying import InvoiceRow


def numbers(books: Books) -> Iterator[Finding]:
    last = verifying.series(books.session)
    given: dict[str, set[str]] = {name: set() for name in last}
    for invoice in books.invoices:
        name = series_of(cast("InvoiceKind", invoice.kind), invoice.issued_on)
        given.setdefault(name, set()).add(invoice.number)
    for name, numbers in sorted(given.items()):
        counted = last.get(name, 0)
        expected = {number(name, n) for n in range(1, counted + 1)}
        for missing in sorted(expected - numbers):
            yield Finding(check="numbers", subject=name, message=f"{missing} was given, but no invoice bears it")
        for foreign in sorted(numbers - expected):
            message = f"{foreign} is not one of the numbers 1 to {counted} that {name} has given"
            yield Finding(check="numbers", subject=name, message=message)


def invoices(books: Books) -> Iterator[Finding]:
    left: dict[int, dict[Rate, tuple[int, int]]] = {it.id: dict(books.vat[it.id]) for it in books.invoices}
    # In the order of issue, since the last of several notes takes what is left.
    for invoice in sorted(books.invoices, key=lambda it: it.id):
        for message in _invoice(books, invoice, None if invoice.credits_id is None else left[invoice.credits_id]):
            yield Finding(check="invoices", subject=invoice.number, message=message)


def credit_notes(books: Books) -> Iterator[Finding]:
    """A note by hand takes no more of a line than the line states, all notes for it together."""
    issued = {line.id: (invoice, line) for invoice in books.invoices for line in books.lines[invoice.id]}
    credited: dict[int, int] = defaultdict(int)
    for _, line in issued.values():
        if line.credits_line_id is not None:
            credited[line.credits_line_id] += line.net_minor
    for line_id, minor in credited.items():
        invoice, line = issued[line_id]
        if minor * line.net_minor < 0 or abs(minor) > abs(line.net_minor):
            message = (
                f"{format_minor(minor, invoice.minor_digits)} was credited of line {line.position} of "
                f"{invoice.number}, which states {format_minor(line.net_minor, invoice.minor_digits)}"
            )
            yield Finding(check="credits", subject=invoice.number, message=message)


def _invoice(books: Books, invoice: InvoiceRow, left: dict[Rate, tuple[int, int]] | None) -> Iterator[str]:
    """What is wrong with a document; `left` is what earlier notes left of the VAT of the invoice that it credits."""

    def money(minor: int) -> str:
        return format_minor(minor, invoice.minor_digits)

    name, lines, vat = invoice.number, books.lines[invoice.id], books.vat[invoice.id]
    bases: dict[Rate, int] = defaultdict(int)
    for line in lines:
        bases[line.vat_category, line.vat_rate] += line.net_minor
        place, parts, exact = f"line {line.position} of {name}", books.share_minor[line.id], books.share_amount[line.id]
        if line.id in books.of_coupons and not parts and not exact:
            # Nothing was valued for it: the check of coupons computes it again.
            parts, exact = line.net_minor, line.amount
        if parts != line.net_minor:
            yield f"the shares of {place} add up to {money(parts)}, the line states {money(line.net_minor)}"
        if exact != line.amount:
            yield f"the exact shares of {place} add up to {exact_text(exact)}, not to {exact_text(line.amount)}"
        scaled = line.amount * 10**invoice.minor_digits
        rounded = round_half_away(scaled)
        # A note by hand gives back the cents and the exact rest of each share, which corrections rounded apart.
        apart = 0 if invoice.credits_id is None else 1 + books.share_count[line.id]
        if rounded != line.net_minor and abs(scaled - line.net_minor) >= apart:
            yield f"{place} states {money(line.net_minor)}, but {exact_text(line.amount)} rounds to {money(rounded)}"
    net = sum(line.net_minor for line in lines)
    if net != invoice.net_minor:
        yield f"the lines of {name} add up to {money(net)} net, the invoice states {money(invoice.net_minor)}"
    yield from _invoice_vat(invoice, bases, vat, left)
    stated_vat = sum(minor for _, minor in vat.values())
    if stated_vat != invoice.vat_minor:
        yield f"the VAT of {name} adds up to {money(stated_vat)}, the invoice states {money(invoice.vat_minor)}"


def _invoice_vat(
    invoice: InvoiceRow,
    bases: Mapping[Rate, int],
    vat: Mapping[Rate, tuple[int, int]],
    left: dict[Rate, tuple[int, int]] | None,
) -> Iterator[str]:
    def money(minor: int) -> str:
        return format_minor(minor, invoice.minor_digits)

    for key in sorted(bases.keys() | vat.keys()):
        base, stored = bases.get(key, 0), vat.get(key)
        if left is None:
            computed = (base, round_half_away(base * key[1] / 100))
        else:
            before = left.get(key, (0, 0))
            (total,) = vat_of_credit({key: base}, {key: before})
            computed = (base, total.vat_minor)
            left[key] = (before[0] - base, before[1] - total.vat_minor)
        if stored != computed:
            stated = "no VAT" if stored is None else f"{money(stored[1])} on {money(stored[0])}"
            yield (
                f"VAT {key[0]} {exact_text(key[1])} % of {invoice.number} is {money(computed[1])} on {money(base)}, "
                f"the invoice states {stated}"
            )


def charged(books: Books) -> Iterator[Finding]:
    for schedule in books.schedules:
        nothing = schedule.status in {"planned", "valued"} or (schedule.status == "cancelled" and not schedule.revalue)
        if nothing and schedule.definition.get("threshold") and schedule.status == "planned":
            nothing = False  # charged so far, and stored as its amount; the end of the period charges the rest
        if schedule.definition.get("threshold") and schedule.status == "valued":
            continue  # the rest waits for the next invoice
        charged = books.charged.get(schedule.id, Fraction(0))
        # Gestures may give a fraction of a cent more than was charged, and part of what a close had taken back.
        kept = max(min(books.given.get(schedule.id, Fraction(0)), charged), Fraction(0))
        worth = kept if nothing else schedule.amount
        if charged != worth:
            subject = name_of(schedule)
            message = f"{exact_text(charged)} was charged for {subject} ({schedule.status}), not {exact_text(worth)}"
            yield Finding(check="charged", subject=subject, message=message)


def seals(books: Books) -> Iterator[Finding]:
    connection = books.session.connection()
    sealed, numbers = sealing.seals(connection), {invoice.id: invoice.number for invoice in books.invoices}
    for identity, digest in sealing.issued_digests(connection):
        name = numbers[identity]
        if identity not in sealed:
            yield Finding(check="seals", subject=name, message=f"{name} has no seal; it was not issued by Metergate")
        elif sealed[identity] != digest:
            message = f"{name} does not say what it said when it was issued; compare it with the copy that was sent"
            yield Finding(check="seals", subject=name, message=message)
    for identity in sorted(sealed.keys() - numbers.keys()):
        message = f"an invoice that was issued (id {identity}) is not there any more"
        yield Finding(check="seals", subject=str(identity), message=message)


def unpriced(books: Books) -> Iterator[Finding]:
    for subject, message in coverage.unpriced(books.session):
        yield Finding(check="unpriced", subject=subject, message=message, severity="information")
