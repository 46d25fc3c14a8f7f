"""Documents that were handed out, kept whole: what a customer received comes back byte by byte."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, select

from storage.catalogue import take_turns
from storage.errors import StorageError
from storage.tables import IssuedDocument


class DocumentChanged(StorageError):
    """The stored bytes are not those that were stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentKey:
    """Which document of an invoice: `form` is pdf, factur-x or ubl; a UBL has no language and no annex."""

    invoice_id: int
    form: str
    language: str
    annex: bool


def kept(session: Session, key: DocumentKey) -> bytes | None:
    """The bytes that were handed out before, or None. Raises DocumentChanged when they were tampered with."""
    row = session.exec(
        select(IssuedDocument).where(
            IssuedDocument.invoice_id == key.invoice_id,
            IssuedDocument.form == key.form,
            IssuedDocument.language == key.language,
            IssuedDocument.annex == int(key.annex),
        )
    ).first()
    if row is None:
        return None
    if hashlib.sha256(row.content).hexdigest() != row.sha256:
        raise DocumentChanged(
            f"the stored {key.form} of invoice {key.invoice_id} is not what was stored on {row.made_at:%Y-%m-%d}: "
            "its hash differs; restore the row from a backup"
        )
    return row.content


def keep(session: Session, key: DocumentKey, content: bytes, now: datetime) -> bytes:
    """Store what is handed out for the first time; what others handed out meanwhile comes back instead."""
    take_turns(session, f"document/{key.invoice_id}")
    if (found := kept(session, key)) is not None:
        return found
    session.add(
        IssuedDocument(
            invoice_id=key.invoice_id,
            form=key.form,
            language=key.language,
            annex=int(key.annex),
            sha256=hashlib.sha256(content).hexdigest(),
            content=content,
            made_at=now,
        )
    )
    session.flush()
    return content
