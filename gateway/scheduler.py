"""APScheduler as an alarm clock: it only says "look now"; what is due is in rows.

Every option is explicit: a tick that was missed runs once, late, and never twice at a time.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from storage.errors import StorageError

log = logging.getLogger(__name__)

SPREAD = (5**0.5 - 1) / 2
"""Steps of the golden ratio: however many there are, no two come close."""


class Alarms:
    """Named calls, repeated by interval or by cron, each caught and reported when it fails.

    A database that is away is one sentence, what should not happen has its traceback.
    """

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )

    def every(self, seconds: float, name: str, call: Callable[[], object]) -> None:
        """Call every `seconds`, each name at a moment of its own within them.

        Calls that begin together keep the batch that is being written waiting for all of them.
        """
        first = datetime.now(UTC) + timedelta(seconds=seconds * phase(len(self._scheduler.get_jobs())))
        trigger = IntervalTrigger(seconds=seconds, start_date=first, timezone="UTC")
        self._scheduler.add_job(_reported(name, call), trigger, id=name)

    def cron(self, expression: str, name: str, call: Callable[[], object]) -> None:
        """Call when the five-field cron `expression` (UTC) says; ValueError when it cannot be read."""
        try:
            trigger = CronTrigger.from_crontab(expression, timezone="UTC")
        except ValueError as error:
            raise ValueError(
                f"the cron expression {expression!r} cannot be read ({error}); five fields, as in `0 3 1 * *`"
            ) from None
        self._scheduler.add_job(_reported(name, call), trigger, id=name)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Stop, after the call that runs."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)


def phase(nth: int) -> float:
    """Where in its interval, from 0 to 1, the nth call has its moment."""
    return nth * SPREAD % 1


def _reported(name: str, call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        try:
            call()
        except StorageError as error:
            log.error("%s failed (%s); it is tried again at the next tick", name, error)  # noqa: TRY400 - one sentence
        except Exception:
            log.exception("%s failed; it is tried again at the next tick", name)

    return run
