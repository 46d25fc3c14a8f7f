"""The how-to pages, done as they say: every command typed in order, every line they show found in what it prints."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from gateway.cli.main import main
from tests import brokers

DOCS = brokers.ROOT / "docs" / "how-to"
PAGES = sorted(path for path in DOCS.glob("*.md") if path.name != "README.md")
TYPED = [path for path in PAGES if "```sh\n" in path.read_text(encoding="utf-8")]
"""Those with commands to type; the others are about a running gateway."""
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REFUSED = "  # refused"


def type_commands(text: str, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> list[str]:
    """Do what a block says; the lines that it prints. A command ends with status 0, or says that it is refused."""
    said: list[str] = []
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[0] == "export":
            patch.setenv(*words[1].split("=", 1))
            continue
        assert words[0] == "metergate", line
        with pytest.raises(SystemExit) as ended:
            main(words[1:])
        out, err = capture.readouterr()
        assert ended.value.code == int(line.endswith(REFUSED)), f"{line}\n{out}{err}"
        said += [each.rstrip() for each in (out + err).splitlines()]
    return said


@pytest.mark.parametrize("page", TYPED, ids=[path.stem for path in TYPED])
def test_a_page_does_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in DOCS.glob("*.yaml"):
        shutil.copy(file, tmp_path)
    monkeypatch.setenv("METERGATE_DATABASE_URL", f"sqlite:///{tmp_path / 'how-to.db'}")
    said: list[str] = []
    asked = 0
    for source in (DOCS / "README.md", page):
        for kind, text in BLOCK.findall(source.read_text(encoding="utf-8")):
            if kind in {"yaml", "messages"}:
                Path(text.split("\n", 1)[0].removeprefix("# ")).write_text(text, encoding="utf-8")
            elif kind == "sh":
                said = type_commands(text, monkeypatch, capsys)
                asked += 1
            else:
                assert [line for line in text.splitlines() if line not in said] == [], "\n".join(said)
    assert asked > 1


def test_every_page_is_in_the_index() -> None:
    listed = re.findall(r"\(([\w-]+\.md)\)", (DOCS / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [path.name for path in PAGES]
