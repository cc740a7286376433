"""Which account PostgreSQL runs as: it refuses root, so root lends it another one."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from config.embedded.errors import CannotStartError

CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int


def for_new_data() -> Account | None:
    """The account for a new database: None is ourselves, which root cannot be."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise CannotStartError(
        "As root, PostgreSQL needs an ordinary account to run as, and there is no 'nobody' here."
    )


def owner_of(data: Path) -> Account | None:
    """The account that an existing database belongs to; None when that is ourselves."""
    status = data.stat()
    if status.st_uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise CannotStartError(f"The database in {data} belongs to another user.")
    return Account(status.st_uid, status.st_gid)


def can_enter(folder: Path, account: Account | None) -> bool:
    """Whether the account can get into a folder; tried, since modes are not the whole truth."""
    if account is None:
        return os.access(folder, os.R_OK | os.X_OK)
    tried = subprocess.run(
        ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)],
        cwd="/",
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return tried.returncode == 0
