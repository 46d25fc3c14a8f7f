"""Monthly partitions of the usage table on PostgreSQL, made ahead of the messages that will fill them."""

from datetime import UTC, date, datetime

from sqlmodel import Session

from storage.types import to_micros


def ensure_partitions(session: Session, *, today: date, months_ahead: int = 3) -> list[str]:
    """Create the partitions of this UTC month and the next ones that are missing; return their names.

    A month that already has records in the default partition is left there: moving facts is not a tick's work.
    On SQLite, where the table is one file anyway, nothing happens.
    """
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        return []
    made = []
    month = today.year * 12 + today.month - 1
    for index in range(month, month + months_ahead + 1):
        name = f"usage_record_{index // 12:04d}_{index % 12 + 1:02d}"
        lower, upper = _month_start(index), _month_start(index + 1)
        exists = connection.exec_driver_sql("SELECT to_regclass(%s)", (name,)).scalar()
        if exists is not None:
            continue
        taken = connection.exec_driver_sql(
            "SELECT 1 FROM usage_record_default WHERE occurred_at >= %s AND occurred_at < %s LIMIT 1",
            (lower, upper),
        ).first()
        if taken is None:
            connection.exec_driver_sql(
                f"CREATE TABLE {name} PARTITION OF usage_record FOR VALUES FROM ({lower}) TO ({upper})"
            )
            made.append(name)
    return made


def _month_start(index: int) -> int:
    return to_micros(datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC))
