"""Which usage records are behind a line: those that its charge's filter takes, of the value that the line is for."""

from collections.abc import Mapping

from sqlmodel import Session

from billing.core.calculators import Calculator
from billing.core.charges import Usage, charge_from
from storage import due
from storage.detail import DetailRow


class Tracer:
    """Asks each charge once; what it says of a record depends on nothing but the record's properties."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._calculators: dict[int, Calculator | None] = {}

    def shows(self, detail: DetailRow, properties: Mapping[str, str]) -> bool:
        """Whether a record of the schedule with these properties is behind the line."""
        if detail.charge_id not in self._calculators:
            self._calculators[detail.charge_id] = self._calculator(detail.charge_id)
        calculator = self._calculators[detail.charge_id]
        return calculator is None or calculator.shows(properties, detail.component)

    def _calculator(self, charge_id: int) -> Calculator | None:
        row = due.charges(self._session, [charge_id])[charge_id]
        charge = charge_from(row.definition)
        return charge.calculator if isinstance(charge, Usage) and charge.calculator.reads_properties() else None
