"""Writes the tables of docs/performance.md from the last results: `python -m benchmarks.report [--check]`."""

import json
import sys
from pathlib import Path

from benchmarks.figures import RESULTS, Figure
from tests.brokers import ROOT

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: python -m benchmarks.report -->\n", "<!-- end of figures -->\n"
HEAD = "| Measured | against | got | spread | must | reach | absolute |\n|---|---|---|---|---|---|---|\n"


def tables(folder: Path = RESULTS) -> str:
    """A section for each case, with its machine, versions, date and command."""
    sections = []
    for path in sorted(folder.glob("*.json")):
        report = json.loads(path.read_text())
        rows = "".join(_row(Figure(**figure)) for figure in report["figures"])
        versions = ", ".join(f"{name} {found}" for name, found in report["versions"].items())
        sections.append(
            f"### {report['case'].capitalize()}\n\n{report['date']}, {report['machine']}; {versions}.\n"
            f"`{report['command']}`\n\n{HEAD}{rows}"
        )
    return "\n".join(sections)


def _row(figure: Figure) -> str:
    sign = "at most " if figure.at_most else ""

    def bound(value: float | None) -> str:
        return "" if value is None else f"{sign}{value:g}"

    met = figure.must is None or (figure.value <= figure.must if figure.at_most else figure.value >= figure.must)
    got = f"**{figure.value:.3g}**" if met else f"{figure.value:.3g} (missed)"
    spread = f"{figure.low:.3g} to {figure.high:.3g}" if figure.rounds > 1 else "one run"
    if figure.rounds == 0:
        got, spread = "could not be measured", ""
    return (
        f"| {figure.name} | {figure.against} | {got} | {spread} | {bound(figure.must)} | {bound(figure.reach)} "
        f"| {figure.detail} |\n"
    )


def page(text: str, figures: str) -> str:
    """The page with the figures between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{figures}\n{END}{after}" if figures else text


def main() -> int:
    """Write the page; with `--check` only say whether it is what the results make of it."""
    text = PAGE.read_text()
    wanted = page(text, tables())
    if "--check" in sys.argv:
        return 0 if text == wanted else 1
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
