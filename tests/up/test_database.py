"""Roles, and the tables that a first start makes without dj-stripe's own migrations."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command

from tests.servers import servers
from tests.support import background

CATALOGUES = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attidentity::text, pg_get_expr(d.adbin, d.adrelid), a.attcollation::int
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind = 'r' AND c.relname LIKE 'djstripe%' AND a.attnum > 0
          AND NOT a.attisdropped
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid::regclass::text LIKE 'djstripe%'
    """,
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'djstripe%'",
    "migrations": "SELECT app, name FROM django_migrations",
}


def _empty(name: str) -> Iterator[str]:
    """An empty database of the owner's."""
    background.create(name)
    yield name
    background.drop(name)


@pytest.fixture
def fast() -> Iterator[str]:
    yield from _empty("surehold_fast")


@pytest.fixture
def slow() -> Iterator[str]:
    yield from _empty("surehold_slow")


def _migrate(command: str, database: str) -> None:
    background.done(background.manage(command, database))


def _catalogues(database: str) -> dict[str, set[Any]]:
    with psycopg.connect(servers().database_url(database)) as session:
        return {name: set(session.execute(query)) for name, query in CATALOGUES.items()}


@pytest.mark.long
def test_fast_tables_equal_those_of_the_migrations(fast: str, slow: str) -> None:
    all_migrations = background.manage("migrate", slow)
    _migrate("migrate_fast", fast)
    background.done(all_migrations)
    ours, theirs = _catalogues(fast), _catalogues(slow)
    assert len(ours["columns"]) > 500
    for name in CATALOGUES:
        assert ours[name] == theirs[name]
    _migrate("migrate_fast", fast)
    _migrate("migrate", fast)  # nothing is left to do
    assert _catalogues(fast) == ours


@pytest.mark.long
def test_a_half_made_database_is_completed(fast: str) -> None:
    """Killed after the first migrations: dj-stripe's tables are still made the short way."""
    _migrate("migrate members", fast)
    _migrate("migrate_fast", fast)
    assert any(name == "djstripe_account" for name, *_ in _catalogues(fast)["columns"])


ROLES = {
    "DATABASE_URL": "postgres://shop:one@127.0.0.1/shop_roles",
    "DATABASE_URL_WEB": "postgres://shop_web:two%21@127.0.0.1/shop_roles",
    "DATABASE_URL_WORKER": "postgres://shop_worker:three@127.0.0.1/shop_roles",
}


@pytest.fixture
def _no_shop() -> Iterator[None]:
    yield
    with psycopg.connect(servers().admin_url, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS shop_roles WITH (FORCE)")
        for name in ("shop_web", "shop_worker", "shop"):
            admin.execute(f"DROP ROLE IF EXISTS {name}")


def _as(role: str, password: str) -> psycopg.Connection:
    host = servers().admin_url.rpartition("@")[2].partition("/")[0]
    return psycopg.connect(f"postgres://{role}:{password}@{host}/shop_roles")


@pytest.mark.usefixtures("_no_shop")
def test_database_roles_makes_and_repairs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, url in ROLES.items():
        monkeypatch.setenv(name, url)
    call_command("database_roles", admin_url=servers().admin_url)
    with _as("shop", "one") as owner:
        assert owner.execute("SHOW statement_timeout").fetchone() == ("0",)
        owner.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")  # there already: no superuser
        owner.execute("CREATE TABLE thing (id int)")
    with _as("shop_web", "two!") as web:
        web.execute("INSERT INTO thing VALUES (1)")
        shown = [
            web.execute(f"SHOW {name}").fetchone()
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        ]
        assert shown == [("2s",), ("8s",), ("10s",)]
    with psycopg.connect(servers().admin_url, autocommit=True) as admin:
        admin.execute("ALTER ROLE shop_worker SET lock_timeout = '1h'")
    call_command("database_roles", admin_url=servers().admin_url)
    with _as("shop_worker", "three") as worker:
        assert worker.execute("SHOW lock_timeout").fetchone() == ("5s",)
        assert worker.execute("SELECT count(*) FROM thing").fetchone() == (1,)
        superuser = (
            "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = %s"
        )
        for name in ("shop", "shop_web", "shop_worker"):
            assert worker.execute(superuser, [name]).fetchone() == (False,)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL is missing"),
        ({"DATABASE_URL": "postgres:///x"}, "must name a role and its password"),
        ({"DATABASE_URL_WEB": ROLES["DATABASE_URL"]}, "two name the same"),
    ],
)
def test_database_roles_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], words: str
) -> None:
    for name, url in {**ROLES, **environment}.items():
        monkeypatch.setenv(name, url)
    with pytest.raises(CommandError, match=words):
        call_command("database_roles", admin_url=servers().admin_url)
