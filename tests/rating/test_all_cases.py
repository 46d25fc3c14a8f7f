"""No worked example is forgotten: each is run, or stands here with the reason why not."""

from tests.rating.test_dated_cases import RUN
from tests.rating.test_priced_cases import PRICED
from tests.rating.translate import CASES

LEFT_OUT: dict[str, str] = {}
"""Id: reason."""


def test_every_case_is_run_or_left_out_with_its_reason() -> None:
    assert len(CASES) == 68
    assert set(CASES) == RUN | set(PRICED) | set(LEFT_OUT)
    assert not (RUN & set(PRICED))
    assert all(LEFT_OUT.values())
