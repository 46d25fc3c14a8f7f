"""`metergate quarantine`: refused messages, whole, with their reasons."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from billing.core.redacting import redacted, shown
from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows
from gateway.views.quarantine import row
from storage import quarantine as store

if TYPE_CHECKING:
    from storage.database import Database

IDENTITY = click.IntRange(1, 2**63 - 1)
F = TypeVar("F", bound=Callable[..., Any])


class Instant(click.ParamType[datetime]):
    """A day or an instant, in UTC unless it says another zone."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The aware instant."""
        try:
            read = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no instant; write 2022-04-14 or 2022-04-14T10:00:00Z", param, ctx)
        return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


INSTANT = Instant()


@click.group()
def quarantine() -> None:
    """Refused messages: list, show, replay, discard."""


def conditions(command: F) -> F:
    """The options that say which messages are meant."""
    for option in (
        click.option("--until", type=INSTANT, help="Received before this instant (UTC unless it has a zone)."),
        click.option("--since", type=INSTANT, help="Received at this instant or later."),
        click.option("--source", help="Only messages of this source."),
        click.option("--object", "object_reference", help="Only messages that speak for this object."),
        click.option("--reason", help="Only messages refused for this reason."),
    ):
        command = option(command)
    return command


@quarantine.command("list")
@conditions
@click.option("--all", "everything", is_flag=True, help="Replayed and discarded ones too.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, everything: bool, limit: int, as_json: bool, **conditions: Any) -> None:
    """List the messages that wait."""
    status = None if everything else "waiting"
    with house() as parts, parts.database.snapshot() as session:
        rows = store.listed(session, status=status, which=store.Which(**conditions), limit=limit)
        shown = [row(message) for message in rows]
    show_rows(shown, as_json=as_json, nothing="No message waits in quarantine.")


@quarantine.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def counted(*, as_json: bool) -> None:
    """List what was counted and not kept, because the quarantine was full or nobody is known by that name."""
    with house() as parts, parts.database.snapshot() as session:
        rows = [
            {
                "day": row.day,
                "reason": row.reason,
                "source": row.source,
                "messages": row.messages,
                "first_at": row.first_at,
                "last_at": row.last_at,
            }
            for row in store.overflow(session)
        ]
    show_rows(rows, as_json=as_json, nothing="Every refused message was kept.")


@quarantine.command()
@click.argument("identity", type=IDENTITY)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(identity: int, *, as_json: bool) -> int:
    """Show one message with its payload."""
    with house() as parts, parts.database.snapshot() as session:
        message = store.find(session, identity)
        if message is None:
            click.echo(f"no quarantined message has the id {identity}", err=True)
            return 1
        whole = row(message) | {"status": message.status, "payload": shown(message.payload)}
        if message.properties is not None:
            whole["properties"] = redacted(store.as_text(message.properties))
    if as_json:
        show_json(whole)
    else:
        for key, value in whole.items():
            click.echo(f"{key.replace('_', ' ')}: {value}")
    return 0


@quarantine.command()
@click.argument("identities", type=IDENTITY, nargs=-1)
@conditions
def replay(identities: tuple[int, ...], **conditions: Any) -> int:
    """Try messages again, after the registry or the catalogue was mended; a second replay gives nothing."""
    from gateway.replaying import replay_all

    which = _which(identities, conditions)
    with house() as parts:
        missing = _missing(parts.database, identities)
        came = replay_all(parts.database, parts.settings, which, now=parts.clock.now())
    for identity, sentence in came.stayed.items():
        click.echo(f"{identity} stays: {sentence}", err=True)
    if missing:
        click.echo(f"not waiting in quarantine: {', '.join(map(str, missing))}", err=True)
    click.echo(f"{came.done} replayed, {len(came.stayed)} stay")
    return 1 if came.stayed or missing else 0


@quarantine.command()
@click.argument("identities", type=IDENTITY, nargs=-1)
@conditions
def discard(identities: tuple[int, ...], **conditions: Any) -> int:
    """Give messages up; they stay listed under --all."""
    from gateway.replaying import discard_all

    which = _which(identities, conditions)
    with house() as parts:
        missing = _missing(parts.database, identities)
        count = discard_all(parts.database, which, now=parts.clock.now())
    for identity in missing:
        click.echo(f"{identity} does not wait in quarantine", err=True)
    click.echo(f"{count} discarded")
    return 1 if missing else 0


def _which(identities: tuple[int, ...], conditions: dict[str, Any]) -> store.Which:
    if not identities and not any(conditions.values()):
        raise click.UsageError("say which: ids, or --reason, --object, --source, --since, --until")
    return store.Which(ids=identities or None, **conditions)


def _missing(database: "Database", identities: tuple[int, ...]) -> list[int]:
    with database.snapshot() as session:
        waiting = {
            row.id for row in store.listed(session, which=store.Which(ids=identities), limit=len(identities) or 1)
        }
    return sorted(set(identities) - waiting)
