"""The page for authors shows the package that the tests install, word for word."""

import re
import tomllib

from tests import brokers
from tests.extension.conftest import SAMPLE

PAGE = (brokers.ROOT / "docs" / "calculators.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_calculator_on_the_page_is_the_one_that_is_installed() -> None:
    source = (SAMPLE / "metergate_degree_days.py").read_text(encoding="utf-8")
    code = [text for kind, text in BLOCKS if kind == "python"]
    assert source.startswith(code[0])
    assert source.endswith(code[-1])


def test_the_package_on_the_page_is_the_one_that_is_installed() -> None:
    (declared,) = (text for kind, text in BLOCKS if kind == "toml")
    assert tomllib.loads(declared) == tomllib.loads((SAMPLE / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_test_on_the_page_passes() -> None:
    (test,) = (text for kind, text in BLOCKS if kind == "python" and "def test_" in text)
    names: dict[str, object] = {}
    exec((SAMPLE / "metergate_degree_days.py").read_text(encoding="utf-8") + test, names)  # noqa: S102 - our own page
    run = names["test_it_is_a_calculator"]
    assert callable(run)
    run()
