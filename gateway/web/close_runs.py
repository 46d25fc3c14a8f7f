"""A close that runs in a thread of its own: started in one request, looked at in others.

The law: what a close has issued is issued, whatever becomes of its thread; doing it again issues what is left.
"""

import logging
import threading
from datetime import date, datetime

from sqlmodel import Session

from billing import close as closing
from billing.closing.ahead import months_due
from billing.core.errors import BillingError, Refused
from gateway.views.documents import close_json
from gateway.views.exact import plain
from gateway.web.service import Service
from storage import close_runs as stored
from storage.errors import StorageError
from storage.tables import CloseRun

log = logging.getLogger(__name__)
BEAT_SECONDS = 10.0


def begin(session: Session, until: date, asked_by: str, now: datetime) -> CloseRun:
    """Note that a close begins. Raises Refused while another one is running."""
    other = stored.running(session)
    if other is not None:
        if stored.status_of(other, now) == "running":
            raise Refused(f"close {other.id} until {other.until} is running; look at it, or wait", code="transition")
        message = "its process ended; what it issued stays"
        stored.finish(session, other.id or 0, status="failed", now=now, message=message)
    return stored.add(session, until=until, asked_by=asked_by, now=now, months_due=months_due(session, until, now))


def start(behind: Service, identity: int, until: date, now: datetime) -> threading.Thread:
    """Do a close that was noted and committed; the thread ends when it is done."""
    thread = threading.Thread(target=_run, args=(behind, identity, until, now), name=f"close-{identity}", daemon=True)
    thread.start()
    return thread


def _run(behind: Service, identity: int, until: date, now: datetime) -> None:
    done = threading.Event()
    beats = threading.Thread(target=_beat, args=(behind, identity, done), name=f"close-{identity}-beats", daemon=True)
    beats.start()
    try:
        report = closing.close(behind.database, until, now, topic_devices=behind.settings.topic_devices)
        outcome = {"status": "done", "report": plain(close_json(report))}
    except (BillingError, StorageError) as error:
        outcome = {"status": "failed", "message": str(error)}
    except Exception:
        log.exception("close %d failed", identity)
        outcome = {"status": "failed", "message": "the gateway made an error; its log says which"}
    finally:
        done.set()
        beats.join()
    try:
        with behind.database.transaction() as session:
            stored.finish(session, identity, now=behind.clock.now(), **outcome)
    except StorageError as error:
        log.warning("the end of close %d could not be noted: %s", identity, error)
    behind.wake()


def _beat(behind: Service, identity: int, done: threading.Event) -> None:
    while not done.wait(BEAT_SECONDS):
        try:
            with behind.database.transaction() as session:
                stored.beat(session, identity, behind.clock.now())
        except StorageError as error:
            log.warning("close %d could not say that it is at work: %s", identity, error)
