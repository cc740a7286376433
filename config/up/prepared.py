"""Whether the last start left nothing to prepare, so that this one need not ask Django.

The answer is a fingerprint of all that preparing depends on, written on the database itself: a
database that was replaced or restored carries its own, or none.
"""

import hashlib
import importlib.metadata
import json

import psycopg
from psycopg import sql

from config.embedded.run import PROJECT, Run
from config.up.options import Options

PACKAGES = ("django", "dj-stripe", "django-pgtrigger")


def fingerprint(run: Run, options: Options, env: dict[str, str]) -> str:
    """Of the migrations, what registers the endpoints, their addresses, and the sandbox's data."""
    digest = hashlib.sha256()
    for path in sorted(PROJECT.glob("*/migrations/*.py")) + sorted(
        PROJECT.glob("*/management/*/*")
    ):
        if path.suffix == ".py":
            digest.update(str(path.relative_to(PROJECT)).encode() + path.read_bytes())
    facts = {
        "packages": [importlib.metadata.version(name) for name in PACKAGES],
        "site": env["SITE_URL"],
        "stripe": [env.get("STRIPE_API_HOST"), env.get("STRIPE_SECRET_KEY")],
        "sandbox": _made(run),
        "demo": options.demo,
    }
    digest.update(json.dumps(facts).encode())
    return f"surehold {digest.hexdigest()}"


def _made(run: Run) -> str:
    """Which sandbox data this is: another one once the folder was thrown away."""
    try:
        mark = run.folder / "sandbox" / "made"
        if not mark.exists():
            mark.write_text(run.run_id)
        return mark.read_text()
    except OSError:
        return ""


def is_current(url: str, print_: str) -> bool:
    query = """SELECT shobj_description(oid, 'pg_database') FROM pg_database
               WHERE datname = current_database()"""
    with psycopg.connect(url) as session:
        return session.execute(query).fetchone() == (print_,)


def record(url: str, print_: str) -> None:
    with psycopg.connect(url) as session:
        name = sql.Identifier(session.info.dbname)
        session.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(print_)))
