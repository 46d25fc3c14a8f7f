"""Every sentence of the console is in every language, and a reader gets the one that their browser asks for."""

import re
from pathlib import Path

import httpx
import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from console.languages import CATALOGUES, DEFAULT, LOCALES, chosen

CONSOLE = Path(__file__).parents[2] / "console"
OTHERS = sorted(set(LOCALES) - {DEFAULT})
KEYWORDS = {"_": None, "say": None, "noted": None, "gettext": None}


def sentences() -> set[str]:
    """What the templates and the code of the console say."""
    found = extract_from_dir(
        CONSOLE,
        method_map=[("**.py", "python"), ("templates/**.html", "jinja2.ext.babel_extract")],
        options_map={"templates/**.html": {"trimmed": "true", "silent": "false"}},
        keywords=KEYWORDS,
    )
    return {message for _, _, message, _, _ in found if isinstance(message, str)}


@pytest.mark.parametrize("tag", OTHERS)
def test_every_sentence_is_translated(tag: str) -> None:
    with (CATALOGUES / f"{tag}.po").open("rb") as source:
        catalogue = read_po(source, locale=tag)
    done = {str(entry.id) for entry in catalogue if entry.id and entry.string and not entry.fuzzy}
    missing = sorted(sentences() - done)
    assert not missing, f"add to console/locale/{tag}.po:\n" + "\n".join(f'msgid "{it}"\nmsgstr ""\n' for it in missing)
    assert sorted(done - sentences()) == [], "nobody says these any more"


@pytest.mark.parametrize("tag", OTHERS)
def test_a_translation_fills_in_what_its_sentence_fills_in(tag: str) -> None:
    with (CATALOGUES / f"{tag}.po").open("rb") as source:
        catalogue = read_po(source, locale=tag)
    names = re.compile(r"%\((\w+)\)s")
    for entry in catalogue:
        assert set(names.findall(str(entry.id))) == set(names.findall(str(entry.string))), entry.id


@pytest.mark.parametrize(
    "wanted,accepted,expected",
    [
        (None, "", "en"),
        (None, "fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        (None, "de, en;q=0.5, fr;q=0.7", "fr"),
        (None, "*;q=0.5, nonsense;;q=x", "en"),
        ("en", "fr", "en"),
        ("xx", "fr", "fr"),
    ],
)
def test_the_language_is_the_chosen_one_else_the_accepted_one(wanted: str | None, accepted: str, expected: str) -> None:
    assert chosen(wanted=wanted, accepted=accepted).tag == expected


def test_the_switch_changes_the_language_and_is_remembered(client: httpx.Client) -> None:
    assert "Sign in" in client.get("/sign-in").text
    answer = client.post("/language", data={"action": "speak", "language": "fr", "next": "/sign-in"})
    assert answer.headers["location"] == "/sign-in"
    page = client.get("/sign-in")
    assert '<html lang="fr">' in page.text
    assert "Jeton" in page.text
