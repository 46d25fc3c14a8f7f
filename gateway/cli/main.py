"""The `metergate` command: exit status 0 done, 1 refused or differing, 2 wrong call; errors are one sentence.

Commands live in modules that are imported when they run, so that `--help` answers at once.
"""

import importlib
import sys
from collections.abc import Sequence

import click

COMMANDS = {
    "accounting": ("gateway.cli.accounting", "Journal entries of what was issued and paid: export."),
    "advances": ("gateway.cli.advances", "Money paid on contracts before it is invoiced: add, list."),
    "apply": ("gateway.cli.catalogue", "Declare metrics, plans, customers, contracts from a YAML file."),
    "close": ("gateway.cli.closing", "Value what is due up to a date and issue the invoices."),
    "doctor": ("gateway.cli.running", "Check the settings, the database and what is due."),
    "gaps": ("gateway.cli.gaps", "Times in which messages may have been lost: list, accept."),
    "invoices": ("gateway.cli.invoices", "List, show, export and explain invoices."),
    "migrate": ("gateway.cli.running", "Bring the database to this release."),
    "objects": ("gateway.cli.objects", "The registry: create, activate, suspend, terminate, show."),
    "months": ("gateway.cli.months", "Months that take no more documents: lock, unlock, list."),
    "openapi": ("gateway.cli.openapi", "Print the description of the HTTP API."),
    "partitions": ("gateway.cli.partitions", "Months of usage records on PostgreSQL: list, split, detach, attach."),
    "plans": ("gateway.cli.plans", "Plans: list versions, change prices."),
    "price": ("gateway.cli.price", "Value a charge over a quantity or events, without a database."),
    "quarantine": ("gateway.cli.quarantine", "Refused messages: list, show, replay, discard."),
    "readings": ("gateway.cli.readings", "Readings of registers held for review: held, accept, reject, exchange."),
    "run": ("gateway.cli.running", "Run the gateway with its alarms."),
    "sessions": ("gateway.cli.sessions", "The ingest members and what waits for them: list, drain."),
    "simulate": ("gateway.cli.simulate", "Play random histories with crashes; an auditor judges the invoices."),
    "sources": ("gateway.cli.sources", "How messages of foreign formats are read: list, presets, try, feed, acl."),
    "tokens": ("gateway.cli.tokens", "Access tokens of the HTTP API and the console: create, list, revoke."),
    "usage": ("gateway.cli.usage", "Usage entered by hand or in bulk, and listed."),
    "verify": ("gateway.cli.verify", "Compute every stored total again and tell what differs."),
    "webhooks": (
        "gateway.cli.webhooks",
        "Addresses that are told what happened: add, list, remove, deliveries.",
    ),
    "demo": ("gateway.cli.demo", "A virtual fleet through the whole journey, in under a minute."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="metergate", message="%(prog)s %(version)s")
def cli() -> None:
    """From what connected objects publish over MQTT to correct, readable, traceable invoices."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its status."""
    try:
        status = cli.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except Exception as error:
        sentence = _refusal(error)
        if sentence is None:
            raise
        click.echo(sentence, err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _refusal(error: Exception) -> str | None:
    """The sentence for a refusal that a person can act on; None for a fault of the program."""
    from pydantic import ValidationError

    from billing.core.errors import BillingError
    from gateway.receiver import BrokerError
    from storage.errors import StorageError

    match error:
        case BillingError():
            return f"metergate: {error.message}"
        case ValidationError() if error.title == "Settings":
            first = error.errors()[0]
            name = "METERGATE_" + "_".join(str(part) for part in first["loc"]).upper()
            return f"metergate: the setting {name} is not usable ({first['msg']}, got {first['input']!r})"
        case StorageError() | BrokerError() | OSError() | ValueError():
            return f"metergate: {error}"
        case _:
            return None
