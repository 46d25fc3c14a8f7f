"""The table of faults in the docs is complete: every row names a test that exists, every module of tests is in it."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def rows() -> list[str]:
    lines = (ROOT / "docs" / "faults.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("|")]
    return table[2:]


def test_every_row_names_a_test_that_exists() -> None:
    assert rows()
    for row in rows():
        named = NAMED.findall(row)
        assert named, f"no test stands behind: {row}"
        for path, name in named:
            tree = ast.parse((ROOT / "tests" / path).read_text())
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert name in functions, f"{path} has no {name}"


def test_every_test_of_a_fault_is_in_the_table() -> None:
    named = {name for row in rows() for _, name in NAMED.findall(row)}
    for module in sorted(HERE.glob("test_*.py")):
        if module == Path(__file__):
            continue
        for node in ast.parse(module.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert node.name in named, f"{module.name}::{node.name} is missing in docs/faults.md"
