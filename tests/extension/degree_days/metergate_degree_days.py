"""Heating priced by degree days: each reading below the base temperature counts what it is below it."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from billing.extension import Option, PeriodUsage, PricedPart


class DegreeDays:
    name = "degree_days"
    version = "1"
    reads_records = True

    def check(self, options: Mapping[str, Option]) -> None:
        unknown = sorted(set(options) - {"base", "price"})
        if unknown:
            raise ValueError(f"{unknown[0]} is not known; write base and price")
        if not str(options.get("base")).isdecimal():
            raise ValueError("base should be an integer, in degrees")
        Fraction(str(options.get("price")))

    def price(self, usage: PeriodUsage) -> Sequence[PricedPart]:
        base, price = Fraction(str(usage.options["base"])), Fraction(str(usage.options["price"]))
        cold = sum((max(base - value, Fraction(0)) for value in usage.values or ()), Fraction(0))
        parts = [PricedPart("Degree days", cold, price)]
        if usage.attributes.get("boiler") == "old":
            parts.append(PricedPart("Old boiler", usage.part, 3))
        return parts


class DegreeDaysAndMore(DegreeDays):
    """What another version means stands beside the first one, which plans go on using."""

    version = "2"

    def price(self, usage: PeriodUsage) -> Sequence[PricedPart]:
        return [PricedPart("Base", usage.part, 5), *super().price(usage)]


CALCULATORS = [DegreeDays, DegreeDaysAndMore]
