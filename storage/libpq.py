"""One prepared statement through libpq itself (PostgreSQL), in one round trip with the BEGIN before it.

The law: what is sent is read to its end before anything else happens, so that the driver, whose connection it is,
finds it as a statement of its own would have left it; and of a statement that fails nothing is left.

The driver's own way takes three times the processor, most of it before the statement leaves. All that is called here is
the documented interface of `psycopg.pq`.
"""

import select
from collections.abc import Sequence
from functools import cache
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
"""What a connection remembers of its statements: the name of each, by its text."""
_numbers = count()


def ask(connection: Connection, sql: str, values: Sequence[Value]) -> list[str]:
    """The one row of a statement as text; its `%s` are the values, in their order.

    It begins a transaction where none has begun. Raises what SQLAlchemy raises for what the driver raises; the
    transaction is then where it was.
    """
    import psycopg  # noqa: PLC0415 - SQLite has no need of the driver

    pgconn: PGconn = cast("Any", connection.connection.driver_connection).pgconn
    names = connection.info.setdefault(PREPARED, {})
    with driver_errors(connection):
        try:
            row = _ask(pgconn, names, sql, values)
        except psycopg.errors.InvalidSqlStatementName:
            # After a ROLLBACK the driver forgets what is prepared on its connection, ours too.
            names.clear()
            row = _ask(pgconn, names, sql, values)
    return [(row.get_value(0, column) or b"").decode() for column in range(row.nfields)]


def _ask(pgconn: "PGconn", names: dict[str, bytes], sql: str, values: Sequence[Value]) -> "PGresult":
    from psycopg.errors import error_from_result  # noqa: PLC0415
    from psycopg.pq import ExecStatus, TransactionStatus  # noqa: PLC0415

    name = names.get(sql) or b"metergate_%d" % next(_numbers)
    before, back = TRANSACTION if pgconn.transaction_status == TransactionStatus.IDLE else NESTED
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(before, None)
    if sql not in names:
        pgconn.send_prepare(name, _numbered(sql))
    pgconn.send_query_prepared(name, [_dumped(it) for it in values], [isinstance(it, bytes) for it in values])
    pgconn.pipeline_sync()
    answers = _answers(pgconn)
    pgconn.exit_pipeline_mode()
    for answer in answers:
        if answer.status == ExecStatus.FATAL_ERROR:
            pgconn.exec_(back)
            raise error_from_result(answer)
    names[sql] = name
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
def _numbered(sql: str) -> bytes:
    """The statement in the server's words, which has `$1`, `$2` and so on."""
    places = count(1)
    first, *rest = sql.split("%s")
    return "".join([first, *(f"${next(places)}{piece}" for piece in rest)]).encode()
