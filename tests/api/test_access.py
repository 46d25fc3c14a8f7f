"""Tokens: shown once, kept hashed, each with the permissions of its role and no others."""

import pytest
from sqlmodel import select

from billing.access import PERMISSIONS, Permission, Principal, Role, authenticate, create_token, revoke
from billing.core.errors import Conflict, Invalid, NotFound, Refused
from storage.database import Database
from storage.tables import ROLES, AccessToken
from tests.api.conftest import NOW


def test_a_secret_opens_until_it_is_revoked_and_only_its_hash_is_kept(database: Database) -> None:
    with database.transaction() as session:
        secret = create_token(session, "office", Role.BILLING, NOW)
        another = create_token(session, "another", Role.READER, NOW)
    assert secret != another
    with database.snapshot() as session:
        assert authenticate(session, secret) == Principal(name="office", role=Role.BILLING)
        rows = session.exec(select(AccessToken)).all()
        assert not any(secret in str(value) for row in rows for value in row.model_dump().values())
        for wrong in ("", secret[:-1], secret + "A", "x" * 100_000, "\ud800"):
            assert authenticate(session, wrong) is None
    with database.transaction() as session:
        assert revoke(session, "office", NOW)
        assert not revoke(session, "office", NOW)
    with database.snapshot() as session:
        assert authenticate(session, secret) is None
        assert authenticate(session, another) is not None


def test_a_name_is_taken_once_even_after_it_was_revoked(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        create_token(session, "office", Role.BILLING, NOW)
        revoke(session, "office", NOW)
        with pytest.raises(Conflict, match="'office' already, which was revoked"):
            create_token(session, "office", Role.READER, NOW)
        with pytest.raises(NotFound, match="no token is called 'nobody'"):
            revoke(session, "nobody", NOW)
        for name in ("", " office", "a\nb", "x" * 101):
            with pytest.raises(Invalid, match="is not usable"):
                create_token(session, name, Role.READER, NOW)


def test_every_permission_is_somebodys_and_the_reader_changes_nothing() -> None:
    assert tuple(role.value for role in Role) == ROLES
    assert set(PERMISSIONS) == set(Role)
    assert PERMISSIONS[Role.ADMINISTRATOR] == set(Permission)
    assert all(permission.value.startswith("read_") for permission in PERMISSIONS[Role.READER])
    assert Permission.CLOSE not in PERMISSIONS[Role.OPERATOR]


def test_a_refusal_names_the_roles_that_may() -> None:
    with pytest.raises(Refused, match="role billing or administrator") as refused:
        Principal(name="tablet", role=Role.OPERATOR).require(Permission.CLOSE)
    assert refused.value.code == "forbidden"
