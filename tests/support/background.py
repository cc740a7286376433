"""Commands of the product's on databases of their own, beside the one that the suite uses."""

import os
import subprocess
import sys

import psycopg

from config.embedded.run import PROJECT
from tests.servers import servers


def create(database: str) -> None:
    """An empty database of the owner's."""
    with psycopg.connect(servers().admin_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {database} OWNER surehold")


def drop(database: str) -> None:
    with psycopg.connect(servers().admin_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {database} WITH (FORCE)")


def manage(command: str, database: str) -> subprocess.Popen[bytes]:
    """A command of the product's on that database, beside whatever else runs."""
    return subprocess.Popen(
        [sys.executable, "manage.py", *command.split(), "--verbosity=0"],
        cwd=PROJECT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "DATABASE_URL": servers().database_url(database, "surehold"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def done(process: subprocess.Popen[bytes]) -> None:
    """Wait for the command's success; what it said is in the error."""
    said, _ = process.communicate()
    assert process.returncode == 0, said.decode()
