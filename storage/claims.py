"""Claims on contracts: which of several closers works on a contract now.

The law: a claim is the lock of the contract's row, so that it is gone with the transaction or the connection that
held it, and a closer that was killed leaves nothing to clean up. SQLite has one writer and needs none.
"""

from sqlalchemy import text
from sqlmodel import Session

from storage import locks

CLAIM_WAIT_MS = 60_000
"""How long a closer waits for a contract that another holds: longer than the writing of a large one takes."""


def are_kept(session: Session) -> bool:
    """Whether this database keeps claims, so that a contract may be planned while its claim is held."""
    return session.get_bind().dialect.name != "sqlite"


def rehearse(session: Session) -> None:
    """Keep closers from any contract until the end of the transaction, once those at work have ended theirs.

    A rehearsal holds every contract and every number that it comes to until its end. A closer in the midst of a
    contract would wait for its numbers, and it for that contract.
    """
    locks.wait_for(session, "rehearsal")


def claim(session: Session, contract_id: int, *, wait: bool) -> bool:
    """Hold the contract until the end of the transaction; False when another holds it and we do not wait.

    What is rehearsed now is held as well.

    Raises a lock timeout, which the database translates to DatabaseBusy, when the other one does not let go.
    """
    connection = session.connection()
    if not wait and not locks.try_share(session, "rehearsal"):
        return False
    if wait:
        connection.execute(text("SELECT set_config('lock_timeout', :ms, true)"), {"ms": str(CLAIM_WAIT_MS)})
        locks.share(session, "rehearsal")
    # NO KEY: new objects and invoices, whose foreign keys look at the contract, are not held up.
    query = f"SELECT id FROM contract WHERE id = :id FOR NO KEY UPDATE{'' if wait else ' SKIP LOCKED'}"
    return connection.execute(text(query), {"id": contract_id}).first() is not None
