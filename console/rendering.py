"""The templates, one environment a language: everything is escaped, and a name that is not given is an error."""

from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from billing.access import Permission
from billing.core.money import format_minor
from billing.core.redacting import redacted
from console import words
from console.languages import NAMES, Language, languages

TEMPLATES = Path(__file__).parent / "templates"
DAY = timedelta(days=1)


class Pages:
    """Renders the templates; `version` is part of the addresses of stylesheets and scripts."""

    def __init__(self, version: str) -> None:
        self._environments = {tag: _environment(language, version) for tag, language in languages().items()}

    def render(self, template: str, language: Language, **values: Any) -> str:
        """The text of a template."""
        return self._environments[language.tag].get_template(template).render(**values)


def _environment(language: Language, version: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]  # the i18n extension adds it
    environment.filters.update(
        amount=language.amount,
        number=language.number,
        price=language.price,
        unit=lambda unit: words.word(language, "unit", unit) if unit in words.TABLES["unit"] else unit,
        day=language.day,
        written_day=lambda text: language.day(date.fromisoformat(text)) if text else "",
        last_day=lambda end: language.day(end - DAY),
        month=language.month,
        word=lambda word, table: words.word(language, table, word),
        tone=lambda word, table: words.tone(table, word),
        segment=lambda text: quote(str(text), safe=""),
        path=lambda text: quote(str(text), safe="/"),
        instant=language.instant,
        moment=lambda text, zone: language.instant(datetime.fromisoformat(text), zone),
        exact=_exact,
        redacted=redacted,
        plain=format_minor,
    )
    environment.globals.update(language=language, language_names=NAMES, version=version, Permission=Permission)
    return environment


def _exact(value: Fraction | date | datetime | str | int) -> str:
    """A value as a form takes it back."""
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
