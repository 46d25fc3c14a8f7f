"""`metergate openapi`."""

import click


@click.command()
def openapi() -> None:
    """Print the description of the HTTP API (OpenAPI 3.1), as docs/openapi.json holds it."""
    from gateway.web.application import api
    from gateway.web.specification import text_of

    click.echo(text_of(api(None)), nl=False)
