"""The kit for authors: it passes a calculator that keeps the contract, and names what another one does wrong."""

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from billing.core.errors import Invalid
from billing.core.prices.plugin import PARTS_LIMIT, price_with
from billing.extension import Option, PeriodUsage, PricedPart, installed
from billing.extension.testkit import NotACalculator, examine


def test_the_sample_passes(installed_sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed_sample))
    for version, amount in (("1", "1.75"), ("2", "6.75")):
        cold = PeriodUsage(quantity=Fraction(9), count=1, values=(Fraction(9),))
        examine(
            installed()["degree_days", version],
            options={"base": 16, "price": "0.25"},
            attributes={"boiler": "old"},
            examples=[(cold, str(Fraction(amount) + 3))],
        )


class Own:
    """A calculator that is right unless a test makes it wrong."""

    name, version, reads_records = "own", "1", False

    def __init__(self, price: Callable[[PeriodUsage], Any]) -> None:
        self.priced = price

    def check(self, options: Mapping[str, Option]) -> None:
        if options:
            raise ValueError("no options are known")

    def price(self, usage: PeriodUsage) -> Sequence[PricedPart]:
        parts: Sequence[PricedPart] = self.priced(usage)
        return parts


class Careless(Own):
    def check(self, options: Mapping[str, Option]) -> None:
        """Takes anything."""


def part(amount: Any, name: str = "A") -> list[PricedPart]:
    return [PricedPart(name, amount)]


def remembering() -> Callable[[PeriodUsage], Any]:
    seen: list[PeriodUsage] = []

    def price(usage: PeriodUsage) -> Any:
        seen.append(usage)
        return part(len(seen))

    return price


def changing(usage: PeriodUsage) -> Any:
    usage.attributes["site"] = "here"  # type: ignore[index]  # that it cannot be changed is what is shown
    return part(1)


def refusing(usage: PeriodUsage) -> Any:
    if usage.count == 100:
        raise ValueError("a hundred is too many")
    return part(usage.quantity)


@pytest.mark.parametrize("price", [lambda usage: part(usage.quantity * usage.part), lambda _: [], refusing])
def test_a_right_one_passes(price: Callable[[PeriodUsage], Any]) -> None:
    examine(Own(price))


@pytest.mark.parametrize(
    "price,said",
    [
        (lambda _: part(0.5), "own 1 gave 0.5 as the quantity of A; it should be a Fraction"),
        (lambda _: part(True), "gave True as the quantity"),
        (lambda _: part(Decimal("nan")), "beyond all measure"),
        (lambda _: part(Decimal("1E+999999")), "beyond all measure"),
        (lambda _: part(10**2000), "beyond all measure"),
        (lambda usage: part(usage.quantity - 1), "comes to -1, but a price is 0 or more"),
        (lambda _: part(1, "Discount"), "named a part 'Discount'; the name is taken"),
        (lambda _: part(1, "a / b"), "the name is taken, or has a slash"),
        (lambda _: part(1) * 2, "named a part 'A'; the name is taken"),
        (lambda _: part(1, "x\n"), "1 to 60 printable characters"),
        (lambda _: [PricedPart(str(n), 1) for n in range(PARTS_LIMIT + 1)], "more than 100 parts"),
        (lambda _: None, "gave 'None'; it should give a sequence of PricedPart"),
        (lambda _: [("A", 1)], "it should be a PricedPart"),
        (lambda _: part(random.randrange(10**9)), "something else the second time"),  # noqa: S311 - not for secrets
        (lambda usage: part(Decimal(1) / 3 + Decimal(usage.count)), "something else the second time"),
        (remembering(), "something else the second time"),
        (changing, "does not support item assignment"),
        (lambda _: part(len(Path(__file__).read_text())), "it looks outside its input (open)"),
        (lambda usage: part(usage.options["missing"]), "failed: 'missing'"),
    ],
)
def test_a_wrong_one_is_named(price: Callable[[PeriodUsage], Any], said: str) -> None:
    with pytest.raises(NotACalculator) as caught:
        examine(Own(price))
    assert said in str(caught.value)


def test_more_usage_that_costs_less_is_told_where_it_should_not() -> None:
    calculator = Own(lambda usage: part(min(usage.quantity, 40)))
    examine(calculator, rising=True)
    calculator = Own(lambda usage: part(usage.quantity if usage.quantity < 40 else Fraction(1, 2)))
    examine(calculator)
    with pytest.raises(NotACalculator, match="more usage costs less: 1 costs 1, but"):
        examine(calculator, rising=True)


def test_what_is_no_calculator_is_told() -> None:
    nameless = Own(lambda _: [])
    nameless.name = ""
    with pytest.raises(NotACalculator, match="its name is ''"):
        examine(nameless)
    with pytest.raises(NotACalculator, match="takes the option 'no such option'"):
        examine(Careless(lambda _: []))
    with pytest.raises(NotACalculator, match="comes to 3, not to 4"):
        examine(Own(lambda usage: part(usage.quantity)), examples=[(PeriodUsage(quantity=Fraction(3)), "4")])


def test_what_fails_at_the_close_is_one_sentence() -> None:
    with pytest.raises(Invalid, match=r"^calculator own 1 failed: Fraction\(1, 0\)$"):
        price_with(Own(lambda _: part(Fraction(1) / 0)), PeriodUsage(quantity=Fraction(1)))


def test_a_package_that_cannot_be_imported_keeps_no_other_from_working(
    tmp_path: Path, installed_sample: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    info = tmp_path / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[metergate.calculators]\nbroken = no_such_module:X\nwords = os:sep\n")
    monkeypatch.syspath_prepend(str(installed_sample))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert sorted(installed()) == [("degree_days", "1"), ("degree_days", "2")]
    assert "broken = no_such_module:X cannot be loaded" in caplog.text
    assert "words = os:sep is no calculator" in caplog.text
    assert "metergate_degree_days" in sys.modules
