"""The words of the printed document, and numbers and days as its reader writes them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

Language = Literal["en", "fr"]
DIGITS_OF_QUANTITIES = 6
DIGITS_OF_PRICES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is printed beside the facts; one entry a language."""

    invoice: str
    credit_note: str
    seller: str
    buyer: str
    issued_on: str
    due_on: str
    period: str
    contract: str
    customer: str
    corrects: str
    headings: tuple[str, ...]
    vat_headings: tuple[str, ...]
    net: str
    vat: str
    gross: str
    prepaid: str
    payable: str
    credited: str
    payment: str
    terms: str
    reference: str
    code: str
    vat_number: str
    legal_id: str
    annex: str
    annex_headings: tuple[str, ...]
    without_object: str
    lacking: tuple[str, str]
    """What may be missing between two days, or since one."""


WORDS: Mapping[str, Words] = MappingProxyType(
    {
        "en": Words(
            invoice="Invoice",
            credit_note="Credit note",
            seller="From",
            buyer="To",
            issued_on="Date",
            due_on="Due",
            period="Service",
            contract="Contract",
            customer="Customer",
            corrects="Corrects",
            headings=("Description", "Service period", "Quantity", "Unit price", "VAT", "Net"),
            vat_headings=("VAT", "Net", "VAT amount"),
            net="Net",
            vat="VAT",
            gross="Total",
            prepaid="Paid in advance",
            payable="To pay",
            credited="Credited",
            payment="Payment",
            terms="Please pay by {due}.",
            reference="Reference",
            code="A code for banking apps: credit transfer of the amount to pay",
            vat_number="VAT",
            legal_id="Registration",
            annex="What each object comes to",
            annex_headings=("Object", "Net"),
            without_object="For the whole subscription",
            lacking=(
                "Usage between {since} and {until} may be incomplete; what comes later is on a later invoice.",
                "Usage since {since} may be incomplete; what comes later is on a later invoice.",
            ),
        ),
        "fr": Words(
            invoice="Facture",
            credit_note="Avoir",
            seller="Émetteur",
            buyer="Destinataire",
            issued_on="Date",
            due_on="Échéance",
            period="Prestation",
            contract="Contrat",
            customer="Client",
            corrects="Rectifie",
            headings=("Désignation", "Période", "Quantité", "Prix unitaire", "TVA", "Montant HT"),
            vat_headings=("TVA", "Base HT", "Montant TVA"),
            net="Total HT",
            vat="TVA",
            gross="Total TTC",
            prepaid="Acomptes versés",
            payable="Net à payer",
            credited="Montant de l\N{RIGHT SINGLE QUOTATION MARK}avoir",
            payment="Règlement",
            terms="À régler au plus tard le {due}.",
            reference="Référence",
            code="Code pour les applications bancaires : virement du montant à payer",
            vat_number="N° TVA",
            legal_id="Immatriculation",
            annex="Détail par objet",
            annex_headings=("Objet", "Montant HT"),
            without_object="Pour l\N{RIGHT SINGLE QUOTATION MARK}abonnement entier",
            lacking=(
                "Consommations peut-être incomplètes du {since} au {until} ; la suite sur une facture ultérieure.",
                "Consommations peut-être incomplètes depuis le {since} ; la suite sur une facture ultérieure.",
            ),
        ),
    }
)


ENGINE_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {},
        "fr": {
            "week": "semaine",
            "month": "mois",
            "quarter": "trimestre",
            "half year": "semestre",
            "year": "an",
            "fee": "forfait",
            "event": "événement",
            "package": "lot",
            "amount": "montant",
            "coupon": "bon",
            "Amount": "Montant",
            "Credited before": "Déjà porté en avoir",
            "Discount": "Remise",
            "Fixed fee": "Frais fixes",
            "Minimum and maximum per event": "Minimum et maximum par événement",
            "No price": "Sans prix",
            "Packages": "Lots",
            "Percentage": "Pourcentage",
            "Reduced fee": "Forfait réduit",
            "Step": "Palier",
            "Tier": "Tranche",
            "flat fee": "part fixe",
            "adjustment": "régularisation",
        },
    }
)
"""The words that the engine puts on lines beside the seller's own, which stay as they were declared."""


@dataclass(frozen=True, slots=True)
class Speech:
    """One language and one currency."""

    language: Language
    currency: str

    @property
    def words(self) -> Words:
        return WORDS[self.language]

    @property
    def locale(self) -> Locale:
        # An English reader outside of America writes the day before the month.
        return Locale.parse("en_GB" if self.language == "en" else "fr_FR")

    def day(self, day: date) -> str:
        return str(format_date(day, format="medium", locale=self.locale))

    def days(self, first: date, last: date) -> str:
        short = "d MMM yyyy" if self.language == "en" else "dd/MM/yyyy"
        return " \N{EN DASH} ".join(format_date(day, short, locale=self.locale) for day in (first, last))

    def noted(self, note: str, lacking: tuple[date, date | None] | None) -> str:
        """A note, and that usage may be missing between two days, both included, or since one."""
        if lacking is None:
            return note
        since, until = lacking
        between, from_then_on = self.words.lacking
        if until is None:
            sentence = from_then_on.format(since=self.day(since))
        else:
            sentence = between.format(since=self.day(since), until=self.day(until))
        return f"{note} {sentence}".strip()

    def unit(self, unit: str) -> str:
        """A unit; that of a metric is the seller's own word."""
        return ENGINE_WORDS[self.language].get(unit, unit)

    def label(self, name: str, charge: str, component: str, *, adjustment: bool) -> str:
        """The name of a line, the engine's words in it in this language."""
        words = ENGINE_WORDS[self.language]
        rest = name.removeprefix(f"{charge} / {component}")
        if component and rest != name:
            told = words.get(component)
            if told is None:
                told = re.sub("[A-Za-z]+(?: fee)?", lambda found: words.get(found[0], found[0]), component)
            name = f"{charge} / {told}{rest}"
        if adjustment and name.endswith(" (adjustment)"):
            name = f"{name.removesuffix('adjustment)')}{words.get('adjustment', 'adjustment')})"
        return name

    def amount(self, amount: str) -> str:
        return str(format_currency(Decimal(amount), self.currency, locale=self.locale))

    def quantity(self, quantity: Decimal) -> str:
        return str(format_decimal(quantity, format=f"#,##0.{'#' * DIGITS_OF_QUANTITIES}", locale=self.locale))

    def price(self, price: Decimal, digits: int) -> str:
        pattern = "#,##0." + "0" * digits + "#" * (DIGITS_OF_PRICES - digits)
        return str(format_decimal(price, format=pattern, locale=self.locale))

    def percent(self, rate: Decimal) -> str:
        return f"{format_decimal(rate, format='#,##0.####', locale=self.locale)} %"
