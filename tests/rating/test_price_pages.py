"""The pages on prices, done as they say: the charge and the events saved, each command typed, each answer compared."""

import json
import re
from pathlib import Path

import pytest

from gateway.cli.main import main
from tests import brokers

DOCS = brokers.ROOT / "docs" / "prices"
PAGES = sorted(path for path in DOCS.glob("*.md") if path.name != "README.md")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=[path.stem for path in PAGES])
def test_a_page_says_what_the_command_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked, answered = [], []
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "yaml":
            Path("charge.yaml").write_text(text)
        elif kind == "json":
            json.loads(text)
            Path("events.json").write_text(text)
        elif kind == "sh":
            name, *words = text.split()
            assert name == "metergate"
            with pytest.raises(SystemExit) as ended:
                main(words)
            out, err = capsys.readouterr()
            assert (ended.value.code, err) == (0, ""), text
            asked.append(out)
        else:
            answered.append(text)
    assert asked
    assert answered == asked


def test_every_page_is_in_the_index() -> None:
    listed = re.findall(r"\((\w+\.md)\)", (DOCS / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [path.name for path in PAGES]
