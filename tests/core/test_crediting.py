from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.crediting import CreditableLine, CreditableShare, CreditDraft, Wanted, credit_invoice
from billing.core.errors import Invalid, Refused
from billing.core.invoicing import VatTotal
from billing.core.money import round_half_away

ALL = Wanted()


def line(position: int, net: int, rate: str = "20", credited: int = 0, objects: int = 1) -> CreditableLine:
    """A line over `net` cents, spread over equal objects; its exact amount lies a third of a cent beside it."""
    exact = Fraction(3 * net + 1, 300)
    each, more = divmod(net, objects)
    return CreditableLine(
        position=position,
        vat_category="S",
        vat_rate=Fraction(rate),
        net_minor=net,
        shares=tuple(
            CreditableShare(
                schedule_id=number,
                reference=f"OBJECT_{number}",
                quantity=Fraction(net, 250 * objects),
                amount=exact / objects,
                share_minor=each + (number < more),
                charged_minor=each + (number < more),
                credited_minor=credited,
                credited_amount=Fraction(credited, 100),
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


def credited(lines: list[CreditableLine], wanted: Wanted) -> CreditDraft:
    return credit_invoice(lines, vat(*lines), (), wanted=wanted, minor_digits=2)


def test_a_whole_credit_note_is_the_invoice_turned_round() -> None:
    lines = [line(1, 3000), line(2, 999, "5.5", objects=7)]
    note = credited(lines, ALL)
    assert note.net_minor == 3999
    assert note.vat == vat(*lines)
    assert [each.amount for each in note.lines] == [Fraction(9001, 300), Fraction(2998, 300)]
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
    note = credited([line(1, gross, rate)], Wanted(amount_minor=net))
    assert (note.net_minor, note.vat_minor, note.gross_minor) == (net, vat_minor, net + vat_minor)


@pytest.mark.parametrize(
    "wanted, net_by_line",
    [
        (Wanted(positions=(2,)), {2: 1000}),
        (Wanted(percent=Fraction(10)), {1: 300, 2: 100, 3: 1}),
        (Wanted(positions=(1, 3), percent=Fraction(50)), {1: 1500, 3: 5}),
        (Wanted(amount_minor=401), {1: 300, 2: 100, 3: 1}),
        (Wanted(positions=(1, 2), amount_minor=401), {1: 301, 2: 100}),
        (Wanted(amount_minor=4009), {1: 3000, 2: 1000, 3: 9}),
    ],
)
def test_a_part_is_of_lines_of_a_percentage_or_of_an_amount(wanted: Wanted, net_by_line: dict[int, int]) -> None:
    note = credited([line(1, 3000), line(2, 1000, "5.5"), line(3, 9, "5.5")], wanted)
    assert {each.position: each.net_minor for each in note.lines} == net_by_line


def test_what_is_wanted_must_make_sense() -> None:
    for values in ({"amount_minor": 0}, {"percent": Fraction(0)}, {"percent": Fraction(101)}):
        with pytest.raises(Invalid):
            Wanted(**values)
    with pytest.raises(Invalid, match="one of them"):
        Wanted(amount_minor=1, percent=Fraction(1))


@pytest.mark.parametrize(
    "wanted, error, sentence",
    [
        (Wanted(positions=(2,)), Invalid, "no line 2"),
        (Wanted(amount_minor=2001), Refused, "20.00 net is left"),
    ],
)
def test_what_cannot_be_credited_is_refused(wanted: Wanted, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        credited([line(1, 3000, credited=1000)], wanted)


def test_an_invoice_that_is_credited_whole_takes_no_more() -> None:
    with pytest.raises(Refused, match="nothing is left"):
        credited([line(1, 3000, credited=3000)], ALL)


def test_what_a_later_correction_took_back_is_not_credited_again() -> None:
    issued = line(1, 3000)
    (share,) = issued.shares
    corrected = replace(issued, shares=(replace(share, charged_minor=1800),))

    assert credited([corrected], ALL).net_minor == 1800
    with pytest.raises(Refused, match=r"18\.00 net"):
        credited([corrected], Wanted(amount_minor=1801))


def test_lines_of_both_signs_are_never_credited_below_zero_together() -> None:
    lines = [line(1, 4000), line(2, -1000)]
    assert credited(lines, ALL).net_minor == 3000
    with pytest.raises(Refused, match=r"30\.00 net is left to credit at VAT S 20 %, not 40\.00"):
        credited(lines, Wanted(positions=(1,)))
    with pytest.raises(Refused):
        credited(lines, Wanted(positions=(2,)))


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
    left = dict(lines)

    def issue(wanted: Wanted) -> None:
        earlier = [each for note in given_back for each in note.vat]
        note = credit_invoice(list(left.values()), total, earlier, wanted=wanted, minor_digits=2)
        for each in note.lines:
            assert sum(share.share_minor for share in each.shares) == each.net_minor
            assert sum((share.amount for share in each.shares), Fraction(0)) == each.amount
            assert round_half_away(each.amount * 100) == each.net_minor
            taken = {share.schedule_id: share for share in each.shares}
            left[each.position] = replace(
                left[each.position],
                shares=tuple(
                    replace(
                        share,
                        credited_minor=share.credited_minor + taken[share.schedule_id].share_minor,
                        credited_amount=share.credited_amount + taken[share.schedule_id].amount,
                        credited_quantity=share.credited_quantity + taken[share.schedule_id].quantity,
                    )
                    if share.schedule_id in taken
                    else share
                    for share in left[each.position].shares
                ),
            )
            assert all(0 <= share.left_minor <= share.share_minor for share in left[each.position].shares)
        given_back.append(note)

    for position, minor in parts:
        if position in lines and minor <= left[position].left_minor:
            issue(Wanted(positions=(position,), amount_minor=minor))
    if any(each.left_minor for each in left.values()):
        issue(ALL)
    assert sum(note.net_minor for note in given_back) == sum(each.net_minor for each in lines.values())
    assert sum(note.vat_minor for note in given_back) == sum(each.vat_minor for each in total)
    exact = sum((each.amount for note in given_back for each in note.lines), Fraction(0))
    if all(len(each.shares) == 1 for each in lines.values()):
        assert abs(exact - sum(share.amount for each in lines.values() for share in each.shares)) < Fraction(
            len(lines), 100
        )
