"""Database roles: one per kind of process, so that a stuck lock is a clear error within seconds.

The timeouts belong to the role and not to the connection, since PgBouncer in transaction mode
passes no start-up options on (design.md §3, §8).
"""

from dataclasses import dataclass, field

import psycopg
from psycopg import sql

OWNER = "surehold"
WEB = "surehold_web"
WORKER = "surehold_worker"

LOCK, STATEMENT, IDLE = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
)
# A page waits for seconds, a task for a minute, a migration for as long as it takes.
TIMEOUTS: dict[str, dict[str, str]] = {
    "owner": {LOCK: "30s", STATEMENT: "0", IDLE: "10min"},
    "web": {LOCK: "2s", STATEMENT: "8s", IDLE: "10s"},
    "worker": {LOCK: "5s", STATEMENT: "60s", IDLE: "30s"},
}
_KINDS = {OWNER: "owner", WEB: "web", WORKER: "worker"}


@dataclass(frozen=True)
class Login:
    """A role that logs in. `kind` decides its timeouts; the owner's objects are everybody's."""

    name: str
    password: str = field(repr=False)
    kind: str = ""

    @property
    def timeouts(self) -> dict[str, str]:
        return TIMEOUTS[self.kind or _KINDS[self.name]]


def apply(
    *, admin_url: str, database: str, logins: list[Login], template_too: bool = False
) -> None:
    """Make the roles, the database and its extension what they should be; repeatable.

    `logins[0]` owns the database; the others are members of it, so that whoever makes an object,
    all can use it. `admin_url` needs CREATEROLE and CREATEDB, and for the extension the right to
    create it. With `template_too` later databases have the extension as well (tests).
    """
    owner, *members = logins
    with psycopg.connect(admin_url, autocommit=True) as admin:
        for login in logins:
            _role(admin, login)
        for member in members:
            admin.execute(
                sql.SQL("GRANT {} TO {}").format(
                    sql.Identifier(owner.name), sql.Identifier(member.name)
                )
            )
        _database(admin, database, owner)
    for name in (database, "template1") if template_too else (database,):
        with psycopg.connect(admin_url, dbname=name, autocommit=True) as inside:
            inside.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")


def _role(admin: psycopg.Connection, login: Login) -> None:
    known = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [login.name]).fetchone()
    admin.execute(
        sql.SQL("{} ROLE {} LOGIN INHERIT NOSUPERUSER PASSWORD {}").format(
            sql.SQL("ALTER" if known else "CREATE"),
            sql.Identifier(login.name),
            sql.Literal(login.password),
        )
    )
    for name, value in login.timeouts.items():
        admin.execute(
            sql.SQL("ALTER ROLE {} SET {} = {}").format(
                sql.Identifier(login.name), sql.Identifier(name), sql.Literal(value)
            )
        )


def _database(admin: psycopg.Connection, database: str, owner: Login) -> None:
    known = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
    if known:
        return
    _become_member(admin, owner)
    admin.execute(
        sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(
            sql.Identifier(database), sql.Identifier(owner.name)
        )
    )


def _become_member(admin: psycopg.Connection, owner: Login) -> None:
    """An administrator who is no superuser must be a member of whom it gives a database to."""
    who = admin.execute("SELECT current_user, usesuper FROM pg_user WHERE usename = current_user")
    name, superuser = who.fetchone() or ("", True)
    if not superuser and name != owner.name:
        admin.execute(
            sql.SQL("GRANT {} TO {}").format(sql.Identifier(owner.name), sql.Identifier(name))
        )
