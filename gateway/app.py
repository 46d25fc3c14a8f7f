"""The composition root: one place that knows the concrete parts and their start and stop order.

Start: partitions, outbox publisher, receiver, alarms. Stop: alarms, receiver (which finishes its batch), publisher.
Which of them a process has is its role; see gateway/roles.py.
"""

import contextlib
import logging
import re
from datetime import datetime, timedelta
from typing import Self

from sqlmodel import Session

from billing import answering, control, lifecycle, presence, repricing, silences, thresholds
from billing import close as closing
from billing.core.errors import BillingError
from billing.recording import Said
from config.clock import Clock
from config.settings import Settings
from gateway.membership import HEARTBEAT_SECONDS, Membership
from gateway.mqtt import address_from
from gateway.publisher import OutboxPublisher
from gateway.receiver import ControlProperties, Receiver
from gateway.replaying import Replayer
from gateway.roles import PARTS, Parts, client_id, filters, usage_filters
from gateway.scheduler import Alarms
from gateway.sessions import SessionKeeper
from gateway.sources.source import Sources
from gateway.sources.stored import WATCH_SECONDS, Watch, load
from gateway.webhooks import Deliverer
from storage import history, members, quarantine
from storage.database import Database
from storage.errors import StorageError
from storage.locks import claim
from storage.partitions import ensure_partitions

log = logging.getLogger(__name__)
READY_SECONDS = 10
HOUSEKEEPING_SECONDS = 3600
"""How often ended terms and missing partitions are looked for; both have months of slack."""
SESSION_STOP_SECONDS = 2.0
"""How long the last note on the broker's session may take; it only moves the start of a gap."""
EXPIRY_SECONDS = 2
"""How often commands to objects that nobody answered are looked for; how late their expiry may be on the timeline."""
INACTIVITY_SECONDS = 30
"""How often objects from which nothing came are looked for: a pass over the presence of all."""
HANDOVER_SECONDS = 2
"""How often the ingest members are looked at: how long a message may go both ways when they take over."""

DROPS_TOPIC = "$SYS/broker/publish/messages/dropped"
"""Left where it is not listened to any more."""
DROPS = re.compile(rb"[0-9]{1,18}")
CHECKPOINT_SECONDS = 0.2
"""How often SQLite's log is moved into its file, beside the batches: one that has to do it is ten times slower.

A batch waits for the disk while that goes on; a little at a time it waits little.
"""


class Gateway:
    """A running gateway; a `with` block starts and stops it. Several may share a database, each with its own role."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, *, parts: Parts = PARTS["all"], member: int = 1
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._parts = parts
        self._publisher = OutboxPublisher(
            database,
            clock,
            address_from(settings.broker_url, settings.broker_ca_file),
            client_id=settings.client_id,
            mqtt_version=settings.mqtt_version,
        )
        self._deliverer = Deliverer(database, clock, settings)
        self._receiver: Receiver | None = None
        self._sessions: SessionKeeper | None = None
        self._membership: Membership | None = None
        subscriptions = filters(settings, parts)
        if subscriptions is not None:
            own = settings.model_copy(update={"client_id": client_id(settings, parts, member)})
            broker = address_from(settings.broker_url)
            self._sessions = SessionKeeper(
                database,
                clock,
                client_id=own.client_id,
                broker=f"{broker.host}:{broker.port}",
                caught_up=self._caught_up,
            )
            self._receiver = Receiver(
                own,
                database,
                clock,
                self._on_control,
                filters=subscriptions,
                on_connected=self._sessions.on_connected,
                aside={DROPS_TOPIC: self._on_drops, settings.broker_drops_topic: self._on_drops},
            )
            if parts == PARTS["ingest"]:
                self._membership = Membership(database, clock, own.client_id, self._stored)
        self._sources = None if self._receiver is None else Watch(database, self._use_sources)
        self._source_filters: tuple[str, ...] = ()
        self._member = member
        self._share = f"$share/{settings.client_id}/" if parts == PARTS["ingest"] else ""
        self._offline_after = presence.OfflineAfter.read(settings.offline_after)
        self._replayer = Replayer(database, clock, settings)
        self._alarms = Alarms()
        self._listening_since: datetime | None = None
        self._handed_over = False
        self._missed: set[str] = set()
        self._moved = 0

    def __enter__(self) -> Self:
        if self._parts.close:
            self._begin_closing()
        if self._parts.control:
            with self._database.snapshot() as session:
                self._publisher.state_on(load(session).state_topic)
            self._publisher.start()
            self._deliverer.start()
        if self._sessions is not None:
            self._sessions.start()
        if self._sources is not None:
            self._sources.look()
            self._alarms.every(WATCH_SECONDS, "sources", self._sources.look)
            if self._parts.ingest:
                self._alarms.every(WATCH_SECONDS, "replay", self._replayer.look)
        if self._receiver is not None:
            self._receiver.start()
            try:
                self._receiver.wait_ready(READY_SECONDS)
            except Exception:
                self._stop()
                raise
        self._tend_log()
        if self._membership is not None:
            self._membership.beat()
            self._alarms.every(HEARTBEAT_SECONDS, "heartbeat", self._membership.beat)
        if self._parts.control:
            self._look_at_members()
            self._alarms.every(HANDOVER_SECONDS, "handover", self._look_at_members)
            self._alarms.every(EXPIRY_SECONDS, "expiry", self._expire_commands)
            self._alarms.every(INACTIVITY_SECONDS, "inactivity", self._look_for_inactivity)
        self._alarms.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop()
        if self._membership is not None:
            try:
                self._membership.leave()
            except StorageError as error:
                log.warning("the end of this member could not be noted: %s", error)

    def wake(self) -> None:
        """Publish what a transaction has just written, where this process publishes; another one looks by itself."""
        self._publisher.wake()
        self._deliverer.wake()

    def _stop(self) -> None:
        # First the receiver: while it writes batch after batch, an alarm's transaction may wait long for its turn.
        if self._receiver is not None:
            self._receiver.stop()
        self._alarms.stop()
        if self._sessions is not None:
            self._sessions.stop(SESSION_STOP_SECONDS)
        if self._parts.control:
            self._publisher.stop()
            self._deliverer.stop()

    def _tend_log(self) -> None:
        if self._receiver is not None and self._database.is_sqlite:
            self._alarms.every(CHECKPOINT_SECONDS, "checkpoint", self._checkpoint)

    def _checkpoint(self) -> None:
        stored = self._stored()
        if stored != self._moved:
            with contextlib.suppress(StorageError):  # whoever writes says what is wrong with the database
                self._database.checkpoint()
                self._moved = stored

    def _caught_up(self) -> bool:
        return self._receiver is not None and self._receiver.connected and self._receiver.idle

    def _listens(self) -> bool:
        """Whether all that objects say arrives here or at a member that is at work."""
        if self._receiver is None or not self._receiver.connected:
            return False
        return not self._missed

    def _stored(self) -> int:
        return 0 if self._receiver is None else self._receiver.stored

    def _use_sources(self, sources: Sources, formerly: frozenset[str]) -> None:
        """Members share what any of them can read; what must be read in order is the first member's.

        A process that takes no usage in still reads what its session collected before, and hands the filters over.
        """
        if self._receiver is None:
            return
        self._source_filters = tuple(sorted({*sources.filters, *formerly}))
        join: list[str] = []
        for source in sources.sources.values() if self._parts.ingest else ():
            if not source.stateful:
                join += [self._share + pattern for pattern in source.filters]
            elif not self._share or self._member == 1:
                join += source.filters
        if self._parts.control and self._settings.broker_drops_topic:
            join.append(self._settings.broker_drops_topic)
        once = {DROPS_TOPIC, *(prefix + pattern for pattern in formerly for prefix in ("", self._share))}
        leave = once - set(join)
        if self._handed_over:
            leave |= set(self._source_filters)
        self._receiver.use(sources, join=join, leave=sorted(leave))

    def _look_at_members(self) -> None:
        """Hand usage over to the ingest members once one is at work; alone, say who of them is missed.

        The session of the control part may be the one that received everything before: it then still collects
        usage. It does so until a member is there to take it, and what waits in it is received all the same.
        """
        with self._database.snapshot() as session:
            found = members.members(session, self._clock.now())
        working = any(member.state == "at work" for member in found)
        receiver = self._receiver
        if working and receiver is not None and receiver.connected and not self._parts.ingest and not self._handed_over:
            receiver.unsubscribe([*usage_filters(self._settings), *self._source_filters])
            self._handed_over = True
            log.info("usage is taken by the ingest members from now on")
        for member in found:
            if member.state != "at work" and member.client_id not in self._missed:
                log.warning(
                    "%s is %s since %s; its messages wait in the broker: start it again, or run "
                    "`metergate sessions drain %s`",
                    member.client_id,
                    member.state,
                    f"{member.heartbeat_at:%Y-%m-%d %H:%M} UTC",
                    member.client_id,
                )
        self._missed = {member.client_id for member in found if member.state != "at work"}

    def _on_control(self, topic: str, payload: bytes, retained: bool, properties: ControlProperties) -> None:  # noqa: FBT001 - the receiver's handler
        reference, command = topic.removeprefix(f"{self._settings.topic_control}/objects/").split("/")
        message = control.ControlMessage(
            object_reference=reference,
            command=command,
            body=payload,
            retained=retained,
            response_topic=properties.response_topic,
            correlation_data=properties.correlation_data,
        )
        with self._database.transaction() as session:
            control.execute(
                session,
                message,
                now=self._clock.now(),
                topics=control.Topics(devices=self._settings.topic_devices, control=self._settings.topic_control),
                payload_limit_bytes=self._settings.payload_limit_bytes,
                expiry_seconds=self._settings.command_expiry_seconds,
            )
        self._publisher.wake()

    def _expire_commands(self) -> None:
        with self._database.snapshot() as session:
            now = self._clock.now()
            if not (answering.any_overdue(session, now) or presence.any_due(session, now)):
                return
        with self._database.transaction() as session:
            if claim(session, "device_commands"):
                answering.expire(session, self._clock.now())
                presence.settle(session, self._clock.now())

    def _look_for_inactivity(self) -> None:
        now = self._clock.now()
        if not self._listens():
            self._listening_since = None
            return
        # Objects are silent only as far as we listened: what came meanwhile may not have waited.
        self._listening_since = self._listening_since or now
        with self._database.transaction() as session:
            if claim(session, "inactivity"):
                presence.look(
                    session,
                    self._offline_after,
                    now,
                    listening_since=self._listening_since,
                    debounce=timedelta(seconds=self._settings.presence_debounce_seconds),
                )

    def _on_drops(self, payload: bytes, at: datetime) -> None:
        """The broker says how many messages it dropped since it was started; more than before is a gap."""
        if self._sessions is not None and DROPS.fullmatch(payload):
            self._sessions.on_drops(int(payload), at)

    def _keep_house(self) -> None:
        """Each in a transaction of its own: what one of them cannot do keeps no other from being done."""
        for work in (
            self._make_partitions,
            self._tidy_quarantine,
            self._tidy_history,
            self._take_planned,
            self._end_terms,
        ):
            try:
                with self._database.transaction() as session:
                    if claim(session, "housekeeping"):  # else another process is at it
                        work(session, self._clock.now())
            except (BillingError, StorageError) as error:
                log.warning("housekeeping is tried again: %s", error)

    def _make_partitions(self, session: Session, now: datetime) -> None:
        ensure_partitions(session, today=now.date())

    def _tidy_quarantine(self, session: Session, now: datetime) -> None:
        kept_since = now - timedelta(days=self._settings.quarantine_days)
        quarantine.tidy(session, resolved_before=kept_since, limit_bytes=self._settings.quarantine_limit_bytes)

    def _tidy_history(self, session: Session, now: datetime) -> None:
        history.tidy(session, before=now - timedelta(days=self._settings.history_days))

    def _end_terms(self, session: Session, now: datetime) -> None:
        lifecycle.end_terms(session, now, topic_devices=self._settings.topic_devices)

    def _take_planned(self, session: Session, now: datetime) -> None:
        said = Said(now=now, origin="engine", topic_devices=self._settings.topic_devices)
        for problem in repricing.take_planned(session, said):
            log.error("%s", problem)

    def _begin_closing(self) -> None:
        self._keep_house()
        self._alarms.every(HOUSEKEEPING_SECONDS, "housekeeping", self._keep_house)
        if self._settings.close_cron:
            self._alarms.cron(self._settings.close_cron, "close", self._close)
        if self._settings.threshold_seconds:
            self._alarms.every(self._settings.threshold_seconds, "thresholds", self._bill_thresholds)
        if self._settings.silence_seconds:
            self._alarms.every(self._settings.silence_seconds, "silences", self._look_for_silences)

    def _look_for_silences(self) -> None:
        """Objects that are silent for longer than expected; nothing is read where no metric expects anything."""
        with self._database.transaction() as session:
            looked = silences.look(session, self._clock.now())
        if looked.begun or looked.ended or looked.cleared:
            log.warning("%d silences begun, %d ended, %d cleared", looked.begun, looked.ended, looked.cleared)

    def _bill_thresholds(self) -> None:
        """Invoice what passed its threshold in mid-period; nothing is read where no plan has one."""
        report = thresholds.bill_thresholds(self._database, self._clock.now())
        for invoice in report.invoices:
            log.info("issued %s in mid-period", invoice.number)
        for failure in report.failures:
            log.error("the thresholds of %s were not billed: %s", failure.contract, failure.message)

    def _close(self) -> None:
        """Close every month that ended at least the grace ago; a week of downtime is caught up by the same call."""
        now = self._clock.now()
        until = (now - timedelta(hours=self._settings.close_grace_hours)).date() - timedelta(days=1)
        try:
            report = closing.close(self._database, until, now, topic_devices=self._settings.topic_devices)
        except BillingError as error:
            log.info("nothing is closed at this tick: %s", error)
            return
        for invoice in report.invoices:
            log.info("issued %s", invoice.number)
        for draft in report.drafts:
            log.info("%s waits for approval", draft.number)
        for found in report.incomplete:
            state = "held for review" if found.held else "noted on the invoice"
            log.warning("usage of %s may be missing (%s), %s", found.contract, found.reason, state)
        for failure in report.failures:
            log.error("%s was not closed: %s", failure.contract, failure.message)
