"""Who runs what: root's PostgreSQL is not root, and no permission but our own folder's changes."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.embedded import accounts
from config.embedded.accounts import Account
from config.embedded.run import PROJECT
from tests.support.upping import Up, plain_environment

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends its database an account")
START = """
import sys
from pathlib import Path
import psycopg
from config.embedded import postgres
from config.embedded.run import holding
with holding(Path(sys.argv[1])) as run:
    server = postgres.start(run)
    postgres.prepare(server)
    pid = int((server.home / "data" / "postmaster.pid").read_text().split()[0])
    print(Path(f"/proc/{pid}").stat().st_uid, server.home)
"""


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder below a home that only its owner may enter."""
    home = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    (home / "project").mkdir(mode=0o755)
    assert home.stat().st_mode & 0o777 == 0o700
    yield home / "project"
    shutil.rmtree(home)


def _start(folder: Path) -> tuple[int, Path]:
    done = subprocess.run(
        [sys.executable, "-c", START, str(folder)],
        cwd=PROJECT,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    uid, home = done.stdout.split()
    return int(uid), Path(home)


def _modes(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mode, path.stat().st_uid) for path in [folder, *folder.parents]}


@as_root
def test_a_home_of_0700_stays_so(closed_folder: Path) -> None:
    package = Path(sysconfig.get_paths()["purelib"])
    before = {**_modes(closed_folder), **_modes(package)}
    uid, home = _start(closed_folder / "data")
    try:
        assert uid != 0
        assert closed_folder not in home.parents  # its account could not get there
        assert home.stat().st_mode & 0o777 == 0o700
        assert {**_modes(closed_folder), **_modes(package)} == before
        assert _start(closed_folder / "data") == (uid, home)  # and is found again
    finally:
        shutil.rmtree(home)


@as_root
def test_in_a_folder_within_reach_the_database_stays_there(open_folder: Path) -> None:
    before = _modes(open_folder)
    uid, home = _start(open_folder / "data")
    assert (uid != 0, home) == (True, open_folder / "data" / "postgres")
    assert _modes(open_folder) == before


def _ordinary() -> tuple[int, str]:
    """An ordinary account and a Python that it can run with our packages; skips without."""
    nobody = pwd.getpwnam("nobody")
    account = Account(nobody.pw_uid, nobody.pw_gid)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = Path(sysconfig.get_paths()["purelib"])
    if not all(accounts.can_enter(folder, account) for folder in (PROJECT, packages)):
        pytest.skip("an ordinary account cannot read this tree")
    for name in (sys.executable, shutil.which(version, path=os.defpath) or ""):
        tried = subprocess.run(
            ["/bin/sh", "-c", f'"{name}" -c "import sys"'],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if name and tried.returncode == 0:
            return account.uid, name
    pytest.skip(f"no {version} that an ordinary account can run")


@pytest.mark.long
@as_root
def test_everything_runs_as_an_ordinary_user(up: Callable[..., Up], open_folder: Path) -> None:
    uid, python = _ordinary()
    programs = open_folder / "bin"
    programs.mkdir()
    for name in ("granian", "celery"):
        (programs / name).write_text(f'#!/bin/sh\nexec "{python}" -m {name} "$@"\n')
    (programs / "python").symlink_to(python)
    # The machine's own Python may be a patch older than ours, for which redis wants a package.
    (programs / "async_timeout.py").write_text("from asyncio import timeout\n")
    for path in (open_folder, programs, programs / "granian", programs / "celery"):
        path.chmod(0o755)
    (open_folder / "home").mkdir()
    os.chown(open_folder / "home", uid, -1)
    one = up(
        folder=open_folder / "home" / "data",
        command=[python, "-B", "manage.py", "up"],
        arguments=["--no-demo"],
        env={
            "PYTHONPATH": f"{programs}{os.pathsep}{sysconfig.get_paths()['purelib']}",
            "PATH": f"{programs}{os.pathsep}{os.defpath}",
            "HOME": str(open_folder / "home"),
        },
        uid=uid,
    )
    one.wait_for()
    assert one.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_uid for path in one.folder.iterdir()} == {uid}
    assert one.stop() == 0
    assert one.left() == []
