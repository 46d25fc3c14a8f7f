"""What is wrong in a catalogue file: every error at once, each with its place and line."""

from collections.abc import Sequence
from dataclasses import dataclass

from billing.core.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a file: where (`plans[0].charges[1].amount`, line 12) and what to do about it."""

    place: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.place or 'the file'}: {self.message}"


class CatalogueInvalid(Invalid):
    """A catalogue file with at least one error; `errors` holds all of them, in the order of lines."""

    default_code = "catalogue_invalid"

    def __init__(self, errors: Sequence[Problem], *, file: str = "") -> None:
        self.errors = sorted(errors, key=lambda problem: (problem.line, problem.place))
        self.file = file
        lines = "\n".join(f"{file}, {problem}" if file else str(problem) for problem in self.errors)
        super().__init__(lines)
