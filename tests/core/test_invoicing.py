"""Invoices: lines rounded once, shares that add up, the difference that serves every change of mind."""

from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.errors import Invalid
from billing.core.invoicing import InvoiceDraft, build_invoice, close_book, difference
from billing.core.linebook import Entries, Entry, Heading, LineBook
from billing.core.numbering import number, series
from billing.core.prices import Component


def component(quantity: Fraction, unit_price: Fraction, name: str = "Units") -> Component:
    return Component(name=name, position=1, quantity=quantity, unit_price=unit_price, amount=quantity * unit_price)


def entry(schedule_id: int, quantity: str = "12", unit_price: str = "2.50", name: str = "Units") -> Entry:
    return Entry(
        schedule_id=schedule_id,
        reference=f"IOT_{schedule_id}",
        component=component(Fraction(quantity), Fraction(unit_price), name),
        heading=Heading(
            subscription="Premium Fleet Subscription",
            charge="Usage",
            charge_position=0,
            unit="unit",
            unit_code="C62",
            vat_category="S",
            vat_rate=Fraction(20),
            nominal_starts_on=date(2022, 4, 1),
            nominal_ends_on=date(2022, 5, 1),
        ),
    )


def changed(one: Entry, **values: Any) -> Entry:
    """The entry with other values of its own or of its heading."""
    own = {name: values.pop(name) for name in Entry._fields if name in values}
    return one._replace(heading=replace(one.heading, **values), **own)


def invoice(*entries: Entry) -> InvoiceDraft:
    draft = build_invoice(entries, "EUR")
    assert draft is not None
    return draft


def test_a_usage_of_12_is_one_line_of_30_and_36_with_vat() -> None:
    draft = invoice(entry(1))
    assert (draft.kind, draft.net_minor, draft.vat_minor, draft.gross_minor) == ("invoice", 3000, 600, 3600)
    (line,) = draft.lines
    assert (line.quantity, line.unit_price, line.net_minor) == (Fraction(12), Fraction("2.5"), 3000)


def test_nothing_to_charge_is_no_invoice() -> None:
    assert build_invoice([], "EUR") is None
    assert build_invoice([entry(1, "0")], "EUR") is None


def test_a_fleet_activated_over_a_month_is_one_line_of_fractional_quantity() -> None:
    draft = invoice(*(entry(day, f"{31 - day}/30", "9.99") for day in range(1, 31)))
    (line,) = draft.lines
    assert line.quantity == Fraction(31, 2)
    assert line.net_minor == 15485  # 15.5 x 9.99 = 154.845
    assert len(line.shares) == 30


def test_vat_is_computed_on_the_rounded_line() -> None:
    # getlago/lago-api@1b1c24a6a:spec/scenarios/invoices/invoices_spec.rb:286 - 10.00 for 6 of 31 days, 20 %
    assert invoice(entry(1, "6/31", "10")).gross_minor == 233


@pytest.mark.parametrize("quantities,net", [(["1", "1", "1"], 3100), (["1"], 1033)])
def test_a_line_is_rounded_once_and_not_its_shares(quantities: list[str], net: int) -> None:
    draft = invoice(*(entry(place, quantity, "31/3") for place, quantity in enumerate(quantities)))
    assert draft.net_minor == net


def test_other_prices_rates_periods_and_groups_are_other_lines() -> None:
    base = entry(1)
    draft = invoice(
        base,
        entry(2, unit_price="3"),
        entry(3, name="Tier 2"),
        changed(entry(4), vat_rate=Fraction(10)),
        changed(entry(5), nominal_starts_on=date(2022, 3, 1), nominal_ends_on=date(2022, 4, 1), adjustment=True),
        changed(entry(6), group=(("site", "Lyon"),)),
        entry(7),
    )
    assert len(draft.lines) == 6
    assert [(total.rate, total.base_minor, total.vat_minor) for total in draft.vat] == [
        (Fraction(10), 3000, 300),
        (Fraction(20), 18600, 3720),
    ]


def test_ties_between_shares_go_by_reference_then_schedule() -> None:
    twins = [changed(entry(place, "1/3", "0.01"), reference="TWIN") for place in (10, 9)]
    draft = invoice(*twins, changed(entry(1, "1/3", "0.01"), reference="ZED"))
    assert [(share.reference, share.schedule_id, share.share_minor) for share in draft.lines[0].shares] == [
        ("TWIN", 9, 1),
        ("TWIN", 10, 0),
        ("ZED", 1, 0),
    ]


def test_adjustments_that_cancel_keep_their_shares_as_the_memory_of_what_was_charged() -> None:
    (line,) = invoice(entry(1, "4"), entry(2, "-4")).lines
    assert line.net_minor == 0
    assert [share.share_minor for share in line.shares] == [1000, -1000]


parts = st.fractions(min_value=-100, max_value=100, max_denominator=60)
entries = st.lists(
    st.builds(
        lambda quantity, price, rate, adjustment, site: changed(
            entry(0),
            component=component(quantity, Fraction(price)),
            vat_rate=Fraction(rate),
            adjustment=adjustment,
            group=(("site", site),),
        ),
        parts,
        st.sampled_from(["2.50", "9.99", "1/7", "0"]),
        st.sampled_from(["20", "5.5", "2.1"]),
        st.booleans(),
        st.sampled_from(["Lyon", "Nice"]),
    ),
    max_size=25,
).map(lambda found: [changed(one, schedule_id=n // 2, reference=f"IOT_{n // 2}") for n, one in enumerate(found)])
"""Two for each schedule, which are one share where they meet on a line."""


@given(found=entries)
def test_shares_add_up_to_lines_and_lines_to_the_invoice(found: list[Entry]) -> None:
    draft = build_invoice(found, "EUR")
    if draft is None:
        return
    for line in draft.lines:
        assert len({share.schedule_id for share in line.shares}) == len(line.shares)
        assert sum(share.share_minor for share in line.shares) == line.net_minor
        assert sum(share.amount for share in line.shares) == line.amount == line.quantity * line.unit_price
        assert abs(line.net_minor - line.amount * 100) <= Fraction(1, 2)
    assert sum(line.net_minor for line in draft.lines) == draft.net_minor
    assert sum(total.base_minor for total in draft.vat) == draft.net_minor
    assert draft.net_minor + draft.vat_minor == draft.gross_minor >= 0


@given(found=entries, data=st.data())
def test_the_order_of_entries_is_nothing(found: list[Entry], data: st.DataObject) -> None:
    assert build_invoice(data.draw(st.permutations(found)), "EUR") == build_invoice(found, "EUR")


@given(found=entries)
def test_an_invoice_and_its_credit_note_add_up_to_zero(found: list[Entry]) -> None:
    draft = build_invoice(found, "EUR")
    turned = build_invoice(
        [
            changed(
                one,
                component=replace(one.component, quantity=-one.component.quantity, amount=-one.component.amount),
            )
            for one in found
        ],
        "EUR",
    )
    if draft is None or not draft.gross_minor:
        return
    assert turned is not None
    assert {draft.kind, turned.kind} == {"invoice", "credit_note"}
    assert replace(turned, kind=draft.kind) == draft


components = st.lists(
    st.builds(component, parts, st.sampled_from([Fraction(1), Fraction(5, 2)]), st.sampled_from(["Units", "Tier 1"])),
    max_size=4,
    unique_by=lambda part: (part.name, part.unit_price),
).map(lambda found: tuple(part for part in found if part.quantity))


@given(now=components)
def test_the_difference_from_nothing_is_everything_and_from_itself_nothing(now: tuple[Component, ...]) -> None:
    assert difference(now, ()) == now
    assert difference(now, now) == ()


@given(first=components, second=components, third=components)
def test_what_was_charged_step_by_step_is_what_it_is_worth_now(
    first: tuple[Component, ...], second: tuple[Component, ...], third: tuple[Component, ...]
) -> None:
    charged = (*first, *difference(second, first))
    assert difference(second, charged) == ()
    charged = (*charged, *difference(third, charged))
    assert sum(part.amount for part in charged) == sum(part.amount for part in third)


def test_a_new_price_takes_the_old_one_back_whole() -> None:
    old, new = component(Fraction(12), Fraction(2)), component(Fraction(12), Fraction(3))
    assert [(int(part.quantity), int(part.unit_price)) for part in difference([new], [old])] == [(12, 3), (-12, 2)]


def test_numbers() -> None:
    assert number(series("invoice", date(2022, 4, 1)), 1) == "INV/2022/04/0001"
    assert number(series("credit_note", date(2022, 12, 1)), 12345) == "CN/2022/12/12345"
    with pytest.raises(Invalid):
        number("INV/2022/04", 0)


@given(
    quantities=st.lists(st.integers(-(10**19), 10**19).filter(bool), min_size=1, max_size=12),
    scale=st.integers(1, 10**9),
    unit_price=st.fractions(min_value=-100, max_value=100, max_denominator=10**6).filter(bool),
    alone=st.integers(0, 12),
)
def test_columns_of_entries_are_the_entries_one_by_one(
    *, quantities: list[int], scale: int, unit_price: Fraction, alone: int
) -> None:
    one_by_one = [
        entry(place)._replace(component=component(Fraction(quantity, scale), unit_price))
        for place, quantity in enumerate(quantities)
    ]
    book, together = LineBook(), quantities[alone:]
    for each in one_by_one[:alone]:
        book.add(each)
    book.extend(
        Entries(
            heading=entry(1).heading,
            name="Units",
            position=1,
            unit_price=unit_price,
            schedules=range(alone, len(quantities)),
            references=[f"IOT_{place}" for place in range(alone, len(quantities))],
            quantities=together,
            quantity_scale=scale,
            amounts=[quantity * unit_price.numerator for quantity in together],
            amount_scale=scale * unit_price.denominator,
        )
    )
    assert close_book(book, "EUR") == build_invoice(one_by_one, "EUR")
