"""The page of laws names tests that exist."""

import re

from tests import brokers

PAGE = (brokers.ROOT / "docs" / "laws.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", PAGE)


def test_every_law_names_tests_and_each_of_them_exists() -> None:
    rows = [row for row in PAGE.splitlines() if row.startswith("| ") and not row.startswith("| Law")]
    assert [row for row in rows if "`tests/" not in row] == []
    missing = []
    for file, name in NAMED:
        path = brokers.ROOT / file
        if not path.exists() or (name and f"def {name}(" not in path.read_text(encoding="utf-8")):
            missing.append((file, name))
    assert missing == []
