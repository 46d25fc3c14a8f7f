"""The receiver: hands batches of messages to the database and acknowledges them after the commit.

The law: what was acknowledged is committed. A connection takes what it delivered with it when it ends: nothing of it
is acknowledged on the next one, where the broker sends it again.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from config.clock import Clock
from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.limiting import RateLimit, keep_over_limit
from gateway.links.link import Link, LinkError, LinkOptions, Publication
from gateway.links.native import NativeLink
from gateway.links.paho import PahoLink
from gateway.message import Message, Rules
from gateway.mqtt import address_from
from gateway.roles import Filters
from gateway.sources.source import Sources
from storage import quarantine, usage
from storage.database import Database
from storage.errors import StorageError

log = logging.getLogger(__name__)

RETRY_MIN_SECONDS, RETRY_MAX_SECONDS = 0.2, 10.0
"""Between two tries of a batch that the database did not take."""
CONNECT_MIN_SECONDS, CONNECT_MAX_SECONDS = 0.1, 30.0
"""Between two tries to connect."""
STEADY_SECONDS = 10.0
"""A connection that lasted so long was a good one: after it the first try comes soon again."""
BRIEF_CONNECTIONS = 3
"""So many connections in a row that did not last: somebody else wants this session."""
QUIET_SECONDS = 0.01
"""A broker that has more sends it sooner: between two batches of a backlog nothing is idle."""
INBOX_KEPT = timedelta(days=90)
"""How long the time given to a message with an id but no time is remembered."""
FORGET_EVERY = timedelta(days=1)


class BrokerError(Exception):
    """The broker cannot be used: the sentence says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlProperties:
    """Where MQTT 5 asks the answer to go; both None under MQTT 3.1.1."""

    response_topic: str | None = None
    correlation_data: bytes | None = None


AsideHandler = Callable[[bytes, datetime], None]
"""`handle(payload, received_at)` of a topic that no object speaks on; commits before it returns."""
ControlHandler = Callable[[str, bytes, bool, ControlProperties], None]
"""`handle_control(topic, payload, retained, properties)`; commits before it returns. A StorageError is retried."""
NOTHING_ASIDE: Mapping[str, AsideHandler] = MappingProxyType({})
LinkMaker = Callable[[LinkOptions], Link]
LINKS: Mapping[str, LinkMaker] = MappingProxyType({"native": NativeLink, "paho": PahoLink})


def link_maker(settings: Settings) -> LinkMaker:
    """The client that METERGATE_RECEIVER names."""
    return LINKS[settings.receiver]


class Receiver:
    """One session at the broker, one thread that receives, writes and acknowledges.

    `handle_control` is called in that thread, in the order of arrival. `on_connected` is told, at each connection,
    whether the broker had kept the session; it may write, and its StorageError ends the connection. `aside` has the
    topics that no object speaks on, each with what is done with its messages.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        handle_control: ControlHandler,
        *,
        filters: Filters | None = None,
        on_connected: Callable[[bool], None] = lambda _session_present: None,
        aside: Mapping[str, AsideHandler] = NOTHING_ASIDE,
        make_link: LinkMaker | None = None,
    ) -> None:
        wanted = Filters.everything(settings) if filters is None else filters
        self._settings = settings
        self._database = database
        self._clock = clock
        self._handle_control = handle_control
        self._on_connected = on_connected
        self._aside = aside
        self._limit = RateLimit(settings.limit_messages_minute)
        self._make_link = make_link or link_maker(settings)
        self._rules = Rules.of(settings)
        self._control_prefix = f"{settings.topic_control}/"
        self._address = address_from(settings.broker_url, settings.broker_ca_file)
        self._options = LinkOptions(
            address=self._address,
            client_id=settings.client_id,
            mqtt_version=settings.mqtt_version,
            keepalive_seconds=settings.keepalive_seconds,
            receive_window=settings.receive_window,
            subscribe=wanted.subscribe,
            leave=wanted.leave,
        )
        self._joined: tuple[str, ...] = ()
        self._left: tuple[str, ...] = ()
        self._link: Link | None = None
        self._stopping = threading.Event()
        self._subscribed = threading.Event()
        self._last_error = "no answer yet"
        self._forgotten_at: datetime | None = None
        self._stored = 0
        self._busy = False
        self._waits_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="metergate-ingest", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the subscriptions stand at this moment."""
        return self._subscribed.is_set()

    @property
    def stored(self) -> int:
        """How many messages were committed since the start, those that went to quarantine with them."""
        return self._stored

    @property
    def idle(self) -> bool:
        """Whether all that was received is committed, and the broker had nothing more for a while."""
        since = self._waits_since
        return not self._busy and (since is None or time.monotonic() - since >= QUIET_SECONDS)

    def start(self) -> None:
        """Connect in the background, for as long as it takes, and begin to work."""
        self._thread.start()

    def wait_ready(self, timeout_seconds: float) -> None:
        """Return once the subscriptions stand. Raises BrokerError with the last reason after `timeout_seconds`."""
        if not self._subscribed.wait(timeout_seconds):
            raise BrokerError(
                f"no session at the broker {self._address.host}:{self._address.port} after {timeout_seconds:g} s "
                f"({self._last_error}); check METERGATE_BROKER_URL, its user and its password"
            )

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Collect no more under these filters; what waits in the session already is still received."""
        link = self._link
        if link is not None:
            with contextlib.suppress(LinkError):  # the next connection leaves them again if it is asked to
                link.leave(filters)

    def use(self, sources: Sources, *, join: Iterable[str], leave: Iterable[str]) -> None:
        """Read these sources from now on; collect under the filters `join`, no more under those of `leave`."""
        self._rules = Rules.of(self._settings, sources)
        self._joined, self._left = tuple(join), tuple(leave)
        self._collect(self._link)

    def _collect(self, link: Link | None) -> None:
        """Say to a connection that stands what is to be collected beside the first filters; any thread may."""
        if link is not None and self._subscribed.is_set():
            with contextlib.suppress(LinkError):  # the next connection says it again
                link.leave(self._left)
                link.join(self._joined)

    def stop(self) -> None:
        """Finish what is in hand and disconnect, within METERGATE_STOP_SECONDS; the rest stays with the broker."""
        self._stopping.set()
        link = self._link
        if link is not None:
            link.interrupt()
        if self._thread.is_alive():
            self._thread.join(self._settings.stop_seconds)
            if self._thread.is_alive():
                log.error(
                    "the database did not answer within %s s; what it did not take stays with the broker",
                    self._settings.stop_seconds,
                )

    # --- the thread ---

    def _run(self) -> None:
        delay, brief = CONNECT_MIN_SECONDS, 0
        while not self._stopping.is_set():
            began = time.monotonic()
            error = self._one_connection()
            if self._stopping.is_set():
                return
            was_ready = self._subscribed.is_set()
            self._subscribed.clear()
            if error is None:
                continue
            self._last_error = str(error)
            if was_ready and time.monotonic() - began >= STEADY_SECONDS:
                delay, brief = CONNECT_MIN_SECONDS, 0
            elif was_ready:
                # Not every broker says that the session was taken over; several short connections are its sign.
                brief += 1
            if error.taken_over or brief == BRIEF_CONNECTIONS:
                delay = CONNECT_MAX_SECONDS
                log.error(
                    "the broker ends this connection again and again; a client id is one gateway's alone: "
                    "does another one use %r?",
                    self._options.client_id,
                )
            log.warning("%s; connecting again in %.1f s", error, delay)
            self._stopping.wait(delay)
            delay = min(2 * delay, CONNECT_MAX_SECONDS)

    def _one_connection(self) -> LinkError | None:
        """Live through one connection; why it ended, or None when it was asked to."""
        link = self._link = self._make_link(self._options)
        if self._stopping.is_set():
            link.interrupt()
        try:
            session_present = link.open()
            log.info("connected to the broker; %s session", "the kept" if session_present else "a new")
            self._on_connected(session_present)
            self._busy = True
            self._subscribed.set()
            self._collect(link)
            # An interrupted link gives out what it holds, then nothing.
            while (batch := self._wait(link)) or not self._stopping.is_set():
                self._take(link, batch)
        except LinkError as error:
            return error
        except StorageError as error:
            return LinkError(f"the database could not note the connection: {error}")
        except Exception as error:  # without this thread nothing would be received any more
            log.exception("this connection is given up")
            return LinkError(f"the connection is given up: {type(error).__name__}: {error}")
        finally:
            self._busy = False
            link.close()
        return None

    def _wait(self, link: Link) -> Sequence[Publication]:
        self._waits_since = time.monotonic()
        self._busy = False
        try:
            return link.receive(self._settings.batch_max)
        finally:
            self._busy = True
            self._waits_since = None

    def _take(self, link: Link, batch: Sequence[Publication]) -> None:
        """Settle a batch, each command alone, in the order of arrival. Raises LinkError."""
        received_at = self._clock.now()
        run: list[Message] = []
        packet_ids: list[int] = []
        prefix = self._control_prefix
        for topic, payload, packet_id, retained, response_topic, correlation_data, attached in batch:
            message = Message(topic=topic, payload=payload, received_at=received_at, retained=retained)
            if attached is not None:
                message.attached = attached
            if topic.startswith(prefix):
                self._flush(link, run, packet_ids)
                run, packet_ids = [], []
                properties = ControlProperties(response_topic=response_topic, correlation_data=correlation_data)
                self._settle(link, [message], [packet_id], properties)
                continue
            if topic in self._aside:
                self._flush(link, run, packet_ids)
                run, packet_ids = [], []
                self._settle(link, [message], [packet_id], self._aside[topic])
                continue
            run.append(message)
            packet_ids.append(packet_id)
        self._flush(link, run, packet_ids)

    def _flush(self, link: Link, run: list[Message], packet_ids: list[int]) -> None:
        """Settle a run, what is over the limit of a minute apart."""
        over = self._limit.over(run)
        if over:
            self._settle(link, [run[it] for it in over], [packet_ids[it] for it in over], self._limit)
            there = set(over)
            run = [message for place, message in enumerate(run) if place not in there]
            packet_ids = [packet_id for place, packet_id in enumerate(packet_ids) if place not in there]
        self._settle(link, run, packet_ids)

    def _settle(
        self,
        link: Link,
        run: Sequence[Message],
        packet_ids: Sequence[int],
        control: ControlProperties | AsideHandler | RateLimit | None = None,
    ) -> None:
        """Commit a run of messages and acknowledge it; a fault of the database is waited out.

        A connection that ends meanwhile takes its messages with it, all but those at QoS 0 (packet id 0): written
        now and sent again, what has no key of its own would count twice.
        """
        delay = RETRY_MIN_SECONDS
        while run:
            if not link.stands():
                run = [message for message, packet_id in zip(run, packet_ids, strict=True) if not packet_id]
                packet_ids = [0] * len(run)
                if not run:
                    return
            try:
                self._write(run, control)
            except StorageError as error:
                log.error("%d messages wait for the database: %s", len(run), error)  # noqa: TRY400 - one sentence
                if self._stopping.wait(delay):
                    raise LinkError("stopped while the database was away") from None
                delay = min(2 * delay, RETRY_MAX_SECONDS)
            else:
                self._stored += len(run)
                link.acknowledge([packet_id for packet_id in packet_ids if packet_id])
                return

    def _write(self, run: Sequence[Message], control: ControlProperties | AsideHandler | RateLimit | None) -> None:
        now = self._clock.now()
        if control is None:
            applied = ingest_batch(self._database, run, self._rules, now=now)
            if applied.refused:
                log.warning("quarantined: %s", ", ".join(f"{n} {reason}" for reason, n in applied.refused.items()))
            self._forget_old_times()
            return
        if isinstance(control, RateLimit):
            keep_over_limit(self._database, run, self._rules, most=self._settings.limit_messages_minute)
            log.warning("%d messages over the limit of a minute", len(run))
            return
        (message,) = run
        if not isinstance(control, ControlProperties):
            control(message.payload, message.received_at)
            return
        try:
            self._handle_control(message.topic, message.payload, message.retained, control)
        except StorageError:
            raise
        except Exception as error:
            log.exception("the command on %s failed and is quarantined", message.topic)
            with self._database.transaction() as session:
                quarantine.put(
                    session,
                    topic=message.topic,
                    payload=message.payload,
                    retained=message.retained,
                    received_at=message.received_at,
                    reason="failed",
                    detail=f"{type(error).__name__}: {error}",
                    object_reference=None,
                )

    def _forget_old_times(self) -> None:
        now = self._clock.now()
        # A clock that went back must not put this off for as long as it went.
        if self._forgotten_at is None or not self._forgotten_at <= now < self._forgotten_at + FORGET_EVERY:
            try:
                with self._database.transaction() as session:
                    usage.forget_times(session, before=now - INBOX_KEPT)
            except StorageError as error:
                # The batch before is committed: it is not to be taken again for this.
                log.warning("times that were given long ago are forgotten later: %s", error)
                return
            self._forgotten_at = now
