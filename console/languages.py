"""The languages of the console: its sentences, and how numbers, amounts and days are written.

The law: a sentence is written once, in English, where it is shown; a catalogue has its other languages.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import NullTranslations, Translations

CATALOGUES = Path(__file__).parent / "locale"
LOCALES: Mapping[str, str] = MappingProxyType({"en": "en_GB", "fr": "fr_FR"})
"""The languages, and the country whose habits of writing numbers and days they take."""
NAMES: Mapping[str, str] = MappingProxyType({"en": "English", "fr": "Français"})
DEFAULT = "en"
SHOWN_DECIMALS = 9
"""Decimals of a quantity; one that needs more is shown with these and a sign that it is rounded."""
TAGS_LIMIT = 20
"""Languages of an Accept-Language header that are looked at."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the console."""

    tag: str
    locale: Locale
    translations: NullTranslations

    def say(self, message: str, **values: object) -> str:
        """The message in this language, `%(name)s` filled in."""
        text = str(self.translations.ugettext(message))
        return text % values if values else text

    def amount(self, minor: int, digits: int, currency: str = "") -> str:
        """Minor units as an amount of money, and the currency's code behind it."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        text = format_decimal(Decimal(minor).scaleb(-digits), format=pattern, locale=self.locale)
        return f"{text}\N{NO-BREAK SPACE}{currency}" if currency else str(text)

    def number(self, value: Fraction | int) -> str:
        """An exact quantity or price; what no finite decimal can say is shown rounded, after a sign that says so."""
        exact = Fraction(value)
        scaled = exact * 10**SHOWN_DECIMALS
        if scaled.denominator == 1:
            return self._decimal(Decimal(int(scaled)).scaleb(-SHOWN_DECIMALS))
        rounded = Decimal(round(exact * 10**6)).scaleb(-6)
        return f"\N{ALMOST EQUAL TO}\N{NO-BREAK SPACE}{self._decimal(rounded)}"

    def price(self, value: Fraction, digits: int) -> str:
        """A price, with the currency's decimals at least: 9.90, and 0.0375 where it has more."""
        scaled = Fraction(value) * 10**digits
        return (
            self._decimal(Decimal(int(scaled)).scaleb(-digits), digits)
            if scaled.denominator == 1
            else self.number(value)
        )

    def _decimal(self, value: Decimal, digits: int = 0) -> str:
        pattern = f"#,##0.{'0' * digits}{'#' * (SHOWN_DECIMALS - digits)}"
        return str(format_decimal(value, format=pattern, locale=self.locale))

    def day(self, day: date) -> str:
        """A day, short and without doubt about day and month."""
        return str(format_date(day, format="medium", locale=self.locale))

    def month(self, day: date) -> str:
        """The month of a day."""
        return str(format_date(day, format="LLLL y", locale=self.locale)).capitalize()

    def instant(self, instant: datetime, zone: ZoneInfo) -> str:
        """A time, to the second, in a zone."""
        day = format_date(instant.astimezone(zone).date(), format="medium", locale=self.locale)
        return f"{day} {format_datetime(instant, format='HH:mm:ss', tzinfo=zone, locale=self.locale)}"


@cache
def languages() -> Mapping[str, Language]:
    """Every language, by its tag."""
    return MappingProxyType(
        {tag: Language(tag, Locale.parse(locale), _translations(tag)) for tag, locale in LOCALES.items()}
    )


def _translations(tag: str) -> NullTranslations:
    if tag == DEFAULT:
        return NullTranslations()
    compiled = io.BytesIO()
    with (CATALOGUES / f"{tag}.po").open("rb") as source:
        write_mo(compiled, read_po(source, locale=tag))
    compiled.seek(0)
    return Translations(compiled)


def chosen(*, wanted: str | None, accepted: str) -> Language:
    """The language that was chosen, else the first of an Accept-Language header that there is, else English."""
    known = languages()
    for tag in (wanted or "", *_in_order(accepted)):
        if tag in known:
            return known[tag]
    return known[DEFAULT]


def _in_order(accepted: str) -> Iterator[str]:
    ranked: list[tuple[Decimal, int, str]] = []
    for place, entry in enumerate(accepted.split(",")[:TAGS_LIMIT]):
        tag, _, weight = entry.strip().partition(";q=")
        try:
            locale = Locale.parse(tag.strip(), sep="-")
            order = -Decimal(weight or "1")
            if order.is_finite():
                ranked.append((order, place, locale.language))
        except (UnknownLocaleError, ValueError, ArithmeticError, TypeError):
            continue
    yield from (tag for _, _, tag in sorted(ranked))


def noted(message: str) -> str:
    """The message itself: marks a text for the catalogues that is only shown later."""
    return message
