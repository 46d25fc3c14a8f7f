"""Delivers to webhooks what transactions wrote for them: signed, at least once, again and again while it fails.

The law: Standard Webhooks. The id stays the same at each attempt, the signature covers id, instant and body, and a
receiver has a few seconds to answer with 2xx. Addresses inside are not told anything unless a setting allows it: the
one that was looked at is the one that is connected to, so that a name cannot change its mind in between.
"""

import base64
import hashlib
import hmac
import logging
import random
import threading
from datetime import datetime, timedelta

from billing.webhooks import ANSWER_SECONDS, SECRET_PREFIX
from config.clock import Clock
from config.settings import Settings
from storage import webhooks as stored
from storage.database import Database
from storage.errors import StorageError
from storage.webhooks import Due

log = logging.getLogger(__name__)
POLL_SECONDS = 2.0
BATCH = 20
LEASE = timedelta(seconds=30 + BATCH * (ANSWER_SECONDS + 5))
"""Longer than a batch can take: then its process is gone, and another one may try."""
FIRST_SECONDS, FACTOR, LONGEST_SECONDS = 5.0, 4.0, 6 * 3600.0
ATTEMPTS = 20
"""Of one telling: some three days."""
GONE = 410
ANSWER_LIMIT = 200


class Deliverer:
    """A thread of its own: a slow receiver holds up nothing but other receivers."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._private = settings.webhook_private_addresses
        self._patience = timedelta(days=settings.webhook_disable_days)
        self._chance = random.Random()  # noqa: S311 - only spreads attempts over time
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Look now: a transaction has just written something."""
        self._wake.set()

    def stop(self) -> None:
        """End after the attempt at hand; what waits is told by the next start."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(ANSWER_SECONDS + 1)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                more = self.look()
            except StorageError as error:
                log.info("webhooks wait for the database: %s", error)
                more = False
            except Exception:
                log.exception("a webhook could not be told; it is tried again")
                more = False
            if not more:
                self._wake.wait(POLL_SECONDS)
                self._wake.clear()

    def look(self) -> bool:
        """Try what is due, at most a batch; whether there was anything."""
        with self._database.snapshot() as session:
            if not stored.any_due(session, self._clock.now()):
                return False
        with self._database.transaction() as session:
            found = stored.claim(session, self._clock.now(), lease=LEASE, limit=BATCH)
        for due in found:
            if self._stopping.is_set():
                break
            self._note(due, self._told(due))
        return bool(found)

    def _told(self, due: Due) -> int | str:
        # The HTTP client takes 20 MB: a gateway that tells nobody does without.
        from gateway.telling import told  # noqa: PLC0415 - for that reason

        headers = signed(due.secret, due.message_id, self._clock.now(), due.payload)
        return told(due, headers, private=self._private)

    def _note(self, due: Due, answer: int | str) -> None:
        now = self._clock.now()
        done = isinstance(answer, int) and 200 <= answer < 300  # noqa: PLR2004 - of HTTP
        status = "delivered" if done else "failed" if due.attempt >= ATTEMPTS else "waiting"
        next_at = now if done else now + self._pause(due.attempt)
        with self._database.transaction() as session:
            stored.answered(session, due, status=status, answer=str(answer)[:ANSWER_LIMIT], now=now, next_at=next_at)
            webhook = stored.find(session, due.webhook_id)
            if webhook is None:
                return
            webhook.failing_since = None if done else webhook.failing_since or now
            if webhook.failing_since is not None and webhook.disabled_at is None:
                why = self._why_not(answer, webhook.failing_since, now)
                if why:
                    webhook.disabled_at, webhook.disabled_why = now, why
                    log.error("webhook %d is switched off: %s", due.webhook_id, why)
            stored.save(session, webhook)

    def _why_not(self, answer: int | str, since: datetime, now: datetime) -> str:
        if answer == GONE:
            return "it answered 410 Gone; `metergate webhooks enable` switches it on again"
        if now - since >= self._patience:
            days = self._patience.days
            return (
                f"every attempt since {since:%Y-%m-%d %H:%M} UTC failed, for {days} days or more, the last with "
                f"{answer}; mend the receiver, then `metergate webhooks enable` switches it on again"
            )
        return ""

    def _pause(self, attempt: int) -> timedelta:
        longest = min(FIRST_SECONDS * FACTOR ** (attempt - 1), LONGEST_SECONDS)
        return timedelta(seconds=longest * self._chance.uniform(0.5, 1))


def signed(secret: str, message_id: str, now: datetime, payload: str) -> dict[str, str]:
    """The headers of one attempt, as Standard Webhooks has them."""
    instant = str(int(now.timestamp()))
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    mac = hmac.new(key, f"{message_id}.{instant}.{payload}".encode(), hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "User-Agent": "metergate",
        "webhook-id": message_id,
        "webhook-timestamp": instant,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode('ascii')}",
    }
