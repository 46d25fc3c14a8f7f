"""One prepared statement through libpq itself (PostgreSQL), in one round trip with the BEGIN before it.

The law: what is sent is read to its end before anything else happens, so that the driver, whose connection it is,
finds it as a statement of its own would have left it; and of a statement that fails nothing is left.

The driver's own way takes three times the processor, most of it before the statement leaves. All that is called here is
the documented interface of `psycopg.pq`.
"""

import select
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection

from storage.bulk import driver_errors

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

Value = bytes | int | str | None
"""An array of `storage.arrays`, a number, a word, or nothing."""
TRANSACTION = b"BEGIN", b"ROLLBACK"
NESTED = b"SAVEPOINT metergate", b"ROLLBACK TO metergate"
"""What comes before a statement, and what takes it back; a savepoint is not released, as that is a round trip."""
PREPARED = "metergate_prepared"
"""What a connection remembers: the texts of its statements."""


def ask(connection: Connection, sql: str, values: Sequence[Value]) -> list[str]:
    """The one row of a statement as text; its `%s` are the values, in their order.

    It begins a transaction where none has begun. Raises what SQLAlchemy raises for what the driver raises; the
    transaction is then where it was.
    """
    import psycopg  # noqa: PLC0415 - SQLite has no need of the driver

    pgconn: PGconn = cast("Any", connection.connection.driver_connection).pgconn
    prepared = connection.info.setdefault(PREPARED, set())
    data = [_dumped(it) for it in values]
    formats = [isinstance(it, bytes | str) for it in values]
    with driver_errors(connection):
        try:
            row = _ask(pgconn, prepared, sql, data, formats)
        except (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement):
            # After a ROLLBACK the driver has the server forget what is prepared, ours too: of this statement the
            # opposite of what is remembered is true. Others may have been prepared since then.
            prepared ^= {sql}
            row = _ask(pgconn, prepared, sql, data, formats)
        finally:
            if pgconn.pipeline_status:  # the answer was not waited for: nobody else could make sense of it
                connection.invalidate()
    return [(row.get_value(0, column) or b"").decode() for column in range(row.nfields)]


def _ask(
    pgconn: "PGconn", prepared: set[str], sql: str, data: Sequence[bytes | None], formats: Sequence[int]
) -> "PGresult":
    from psycopg.errors import error_from_result  # noqa: PLC0415
    from psycopg.pq import ExecStatus, TransactionStatus  # noqa: PLC0415

    before, back = TRANSACTION if pgconn.transaction_status == TransactionStatus.IDLE else NESTED
    new = sql not in prepared
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(before, None)
    if new:
        pgconn.send_prepare(_name(sql), _numbered(sql))
    pgconn.send_query_prepared(_name(sql), data, formats)
    pgconn.pipeline_sync()
    begun, *answers = _answers(pgconn)
    pgconn.exit_pipeline_mode()
    if new and answers[0].status == ExecStatus.COMMAND_OK:
        prepared.add(sql)  # whatever becomes of its execution
    for answer in (begun, *answers):
        if answer.status == ExecStatus.FATAL_ERROR:
            if begun.status == ExecStatus.COMMAND_OK:  # else there may be an older savepoint of the name
                pgconn.exec_(back)
            raise error_from_result(answer)
    return answers[-1]


def _answers(pgconn: "PGconn") -> list["PGresult"]:
    """The answers to all that was sent; the processor is others' while they are waited for."""
    from psycopg.errors import OperationalError  # noqa: PLC0415
    from psycopg.pq import ConnStatus, ExecStatus  # noqa: PLC0415

    socket = select.poll()
    socket.register(pgconn.socket, select.POLLIN | select.POLLOUT)
    while pgconn.flush():
        socket.poll()
        pgconn.consume_input()  # a server that waits until it is read does not read either
    socket.modify(pgconn.socket, select.POLLIN)
    answers: list[PGresult] = []
    while True:
        while pgconn.is_busy():
            socket.poll()
            pgconn.consume_input()
        answer = pgconn.get_result()
        if answer is None:  # what lies between the answers to two statements, or the end
            if pgconn.status != ConnStatus.OK:
                raise OperationalError(pgconn.get_error_message())
        elif answer.status == ExecStatus.PIPELINE_SYNC:
            return answers
        else:
            answers.append(answer)


def _dumped(value: Value) -> bytes | None:
    match value:
        case bytes() | None:
            return value
        case str():
            return value.encode()
        case _:
            return b"%d" % value


@cache
def _name(sql: str) -> bytes:
    return b"metergate_" + blake2b(sql.encode(), digest_size=8).hexdigest().encode()


@cache
def _numbered(sql: str) -> bytes:
    """The statement in the server's words, which has `$1`, `$2` and so on."""
    places = count(1)
    first, *rest = sql.split("%s")
    return "".join([first, *(f"${next(places)}{piece}" for piece in rest)]).encode()
