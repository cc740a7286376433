"""Starts the suite's servers before Django reads its settings, and stops them at the end.

A pytest plugin (`-p tests.servers`): one PostgreSQL and one Valkey for the whole session, in a
temporary folder, as root or as anyone. They stand under guards (config/embedded/guard.py), so they
end with the session even when it is killed. The sandbox gets its ports here and is started by the
`sandbox` fixture, since few tests need it: for the others Stripe is simply not there.

With TEST_DATABASE_URL (a superuser's) and TEST_REDIS_URL the suite uses servers of your own.
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from config import roles
from config.embedded import postgres, sandbox, valkey
from config.embedded.errors import CannotStartError
from config.embedded.run import Run, hold

PREFIX = "surehold-tests-"
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
ROLE_PASSWORD = "for-tests-only"


@dataclass
class Servers:
    """What the session runs on. `admin_url` is a superuser's, without a database of its own."""

    run: Run
    admin_url: str
    homes: list[Path]

    def database_url(self, database: str, role: str | None = None) -> str:
        """The address of a database, as one of the product's roles or as the superuser."""
        parts = urlsplit(self.admin_url)
        host = parts.netloc.rpartition("@")[2]
        login = f"{role}:{ROLE_PASSWORD}@{host}" if role else parts.netloc
        return urlunsplit(parts._replace(netloc=login, path=f"/{database}"))


_servers: Servers | None = None


def servers() -> Servers:
    """The session's servers."""
    assert _servers is not None, "run the suite through pytest"
    return _servers


@pytest.hookimpl(hookwrapper=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """Wraps pytest-django's, which reads the settings."""
    global _servers
    if _servers is None:
        try:
            _servers = _start()
        except CannotStartError as error:
            pytest.exit(f"The suite's servers could not start: {error}", returncode=1)
    yield


@atexit.register  # pytest leaves out its own hook when it fails early
def pytest_unconfigure() -> None:
    global _servers
    if _servers is not None:
        _stop(_servers)
        _servers = None


def _start() -> Servers:
    _remove_leftovers()
    # As root, PostgreSQL's account passes through; mkdtemp's own folder is closed to it.
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    folder.chmod(0o711)
    servers = Servers(hold(folder), os.environ.get("TEST_DATABASE_URL", ""), [folder])
    try:
        _fill_environment(servers)
    except BaseException:
        _stop(servers)
        raise
    return servers


def _fill_environment(servers: Servers) -> None:
    run = servers.run
    redis_url = os.environ.get("TEST_REDIS_URL") or _valkey_url(run)
    if not servers.admin_url:
        server = postgres.start(run, settings={**FAST, "max_connections": "300"}, durable=False)
        servers.homes.append(server.home)
        servers.admin_url = server.url(postgres.ADMIN, "postgres")
    _prepare(servers.admin_url)
    for name in ("DATABASE_URL_WEB", "DATABASE_URL_WORKER", "SUREHOLD_PROCESS", "SITE_URL"):
        os.environ.pop(name, None)
    os.environ.update(
        # Importing `config` has set production's as the default, and pytest-django follows it.
        DJANGO_SETTINGS_MODULE="config.settings.test",
        DATABASE_URL=servers.database_url(postgres.DATABASE, roles.OWNER),
        REDIS_URL=redis_url,
        SUREHOLD_DATA_DIR=str(run.folder),
        STRIPE_SECRET_KEY=run.secret("stripe", sandbox.secret_key),
        STRIPE_API_HOST=f"http://127.0.0.1:{run.port('sandbox')}",
        EMAIL_URL=f"smtp://127.0.0.1:{run.port('smtp')}",
    )


def _valkey_url(run: Run) -> str:
    server = valkey.start(run, persistent=False)
    valkey.wait(server)
    return server.url


def _prepare(admin_url: str) -> None:
    """Roles with the product's timeouts; the owner makes the test database, as Django does."""
    logins = [roles.Login(name, ROLE_PASSWORD) for name in (roles.OWNER, roles.WEB, roles.WORKER)]
    roles.apply(admin_url=admin_url, database=postgres.DATABASE, logins=logins, template_too=True)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f"ALTER ROLE {roles.OWNER} CREATEDB")


def _stop(servers: Servers) -> None:
    servers.run.close()
    for home in reversed(servers.homes):
        shutil.rmtree(home, ignore_errors=True)


def _remove_leftovers() -> None:
    """The folders of sessions that were killed: those whose lock nobody holds."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (folder / "run.lock").open("r+") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
