"""`name=value` as it is written on the command line."""

import click


def named_value(pair: str) -> tuple[str, str]:
    """The name and the value of an attribute; a wrong call when there is no name."""
    name, separator, value = pair.partition("=")
    if not separator or not name:
        raise click.UsageError(f"the attribute {pair!r} has no name; write name=value")
    return name, value
