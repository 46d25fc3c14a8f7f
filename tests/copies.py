"""Another database with the same content, to do the same thing to it in another way."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import make_url


@contextmanager
def copy_of(url: str) -> Iterator[str]:
    """Another database with the same content; nobody may be connected to the first one."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        source = Path(parsed.database or "")
        target = source.with_name("copy.db")
        for old in source.parent.glob("copy.db*"):
            old.unlink()
        shutil.copy(source, target)
        yield f"sqlite:///{target}"
        return
    name = f"{parsed.database}c"
    with psycopg.connect(url.replace(str(parsed.database), "postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{parsed.database}"'.encode())
        try:
            yield url.replace(str(parsed.database), name)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
