from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.crediting import CreditableLine, CreditableShare, CreditDraft, credit_invoice
from billing.core.errors import Invalid, Refused
from billing.core.invoicing import VatTotal
from billing.core.money import round_half_away


def line(position: int, net: int, rate: str = "20", credited: int = 0, objects: int = 1) -> CreditableLine:
    """A line over `net` cents, spread over equal objects; its exact amount lies a third of a cent beside it."""
    exact = Fraction(3 * net + 1, 300)
    each, more = divmod(net, objects)
    return CreditableLine(
        position=position,
        vat_category="S",
        vat_rate=Fraction(rate),
        quantity=Fraction(net, 250),
        amount=exact,
        net_minor=net,
        credited_minor=credited,
        shares=tuple(
            CreditableShare(
                schedule_id=number,
                reference=f"OBJECT_{number}",
                quantity=Fraction(net, 250 * objects),
                amount=exact / objects,
                share_minor=each + (number < more),
            )
            for number in range(objects)
        ),
    )


def vat(*lines: CreditableLine) -> tuple[VatTotal, ...]:
    bases: dict[Fraction, int] = {}
    for each in lines:
        bases[each.vat_rate] = bases.get(each.vat_rate, 0) + each.net_minor
    return tuple(
        VatTotal(category="S", rate=rate, base_minor=base, vat_minor=round_half_away(base * rate / 100))
        for rate, base in sorted(bases.items())
    )


def credited(lines: list[CreditableLine], wanted: dict[int, int] | None) -> CreditDraft:
    return credit_invoice(lines, vat(*lines), (), wanted=wanted, minor_digits=2)


def test_a_whole_credit_note_is_the_invoice_turned_round() -> None:
    lines = [line(1, 3000), line(2, 999, "5.5", objects=7)]
    note = credited(lines, None)
    assert note.net_minor == 3999
    assert note.vat == vat(*lines)
    assert [each.amount for each in note.lines] == [each.amount for each in lines]
    assert [share.share_minor for each in note.lines for share in each.shares] == [
        share.share_minor for each in lines for share in each.shares
    ]


@pytest.mark.parametrize(
    "gross, rate, net, vat_minor",
    [
        # getlago/lago-api spec/scenarios/credit_notes/credit_note_rounding_spec.rb: 29.99 at 23.33 %, 6 of 7 days.
        (2999, "23.33", 2571, 600),
        # The same source: 200.00 at 25 %, 29 of 30 days.
        (20000, "25", 19333, 4833),
    ],
)
def test_a_partial_credit_note_rounds_its_own_vat(gross: int, rate: str, net: int, vat_minor: int) -> None:
    note = credited([line(1, gross, rate)], {1: net})
    assert (note.net_minor, note.vat_minor, note.gross_minor) == (net, vat_minor, net + vat_minor)


@pytest.mark.parametrize(
    "wanted, error, sentence",
    [
        ({2: 1}, Invalid, "no line 2"),
        ({1: 0}, Invalid, "cannot be credited"),
        ({1: -5}, Invalid, "cannot be credited"),
        ({1: 2001}, Refused, "20.00 of line 1 is left"),
    ],
)
def test_what_cannot_be_credited_is_refused(wanted: dict[int, int], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        credited([line(1, 3000, credited=1000)], wanted)


def test_an_invoice_that_is_credited_whole_takes_no_more() -> None:
    with pytest.raises(Refused, match="credited whole"):
        credited([line(1, 3000, credited=3000)], None)


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.sampled_from(["20", "5.5", "23.33"])), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 10**6)), max_size=6),
    st.integers(1, 5),
)
def test_an_invoice_and_all_its_credit_notes_add_up_to_zero(
    nets: list[tuple[int, str]], parts: list[tuple[int, int]], objects: int
) -> None:
    lines = {n: line(n, net, rate, objects=objects) for n, (net, rate) in enumerate(nets, start=1)}
    total = vat(*lines.values())
    given_back: list[CreditDraft] = []
    taken = dict.fromkeys(lines, 0)

    def issue(wanted: dict[int, int] | None) -> None:
        now = [
            CreditableLine(
                **{name: getattr(each, name) for name in each.__slots__ if name != "credited_minor"},
                credited_minor=taken[n],
            )
            for n, each in lines.items()
        ]
        earlier = [each for note in given_back for each in note.vat]
        note = credit_invoice(now, total, earlier, wanted=wanted, minor_digits=2)
        for each in note.lines:
            taken[each.position] += each.net_minor
            assert sum(share.share_minor for share in each.shares) == each.net_minor
            assert sum((share.amount for share in each.shares), Fraction(0)) == each.amount
        given_back.append(note)

    for position, minor in parts:
        if position in lines and minor <= lines[position].net_minor - taken[position]:
            issue({position: minor})
    if any(each.net_minor > taken[n] for n, each in lines.items()):
        issue(None)
    assert sum(note.net_minor for note in given_back) == sum(each.net_minor for each in lines.values())
    assert sum(note.vat_minor for note in given_back) == sum(each.vat_minor for each in total)
