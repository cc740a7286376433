"""Starting what the environment does not name: database, Redis, Stripe's stand-in, mail."""

import os
from collections.abc import Mapping

from config.embedded import postgres, sandbox, valkey
from config.embedded.errors import CannotStartError
from config.embedded.run import Run
from config.roles import OWNER, WEB, WORKER
from config.up.steps import say, step


def check(given: Mapping[str, str] = os.environ) -> None:
    """Complain about what is missing or contradictory before anything is started."""
    if given.get("STRIPE_API_HOST") and not given.get("STRIPE_SECRET_KEY"):
        raise CannotStartError("STRIPE_API_HOST is set, so STRIPE_SECRET_KEY must be as well.")
    if not given.get("DATABASE_URL"):
        postgres.installed()
    if not given.get("REDIS_URL"):
        valkey.installed()


def start(run: Run, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Start each part that `given` has no address for, and return the addresses."""
    cache = None if given.get("REDIS_URL") else valkey.start(run)
    needs_sandbox = not given.get("STRIPE_SECRET_KEY") or not given.get("EMAIL_URL")
    stand_in = sandbox.start(run) if needs_sandbox else None
    parts: dict[str, str] = {}
    if not given.get("DATABASE_URL"):
        with step("PostgreSQL"):
            parts |= _database(run)
    if cache:
        with step("Valkey"):
            valkey.wait(cache)
        parts["REDIS_URL"] = cache.url
    if stand_in:
        with step("Stripe sandbox and mailbox"):
            sandbox.wait(stand_in)
        parts |= _stand_in(stand_in, given)
    return parts


def _database(run: Run) -> dict[str, str]:
    server = postgres.start(run)
    postgres.prepare(server)
    if run.folder not in server.home.parents:
        say(f"(in {server.home}) ", end="")
    return {
        "DATABASE_URL": server.url(OWNER),
        "DATABASE_URL_WEB": server.url(WEB),
        "DATABASE_URL_WORKER": server.url(WORKER),
    }


def _stand_in(process: sandbox.Sandbox, given: Mapping[str, str]) -> dict[str, str]:
    parts = {"SUREHOLD_SANDBOX_URL": process.url}
    if not given.get("STRIPE_SECRET_KEY"):
        parts |= {"STRIPE_API_HOST": process.url, "STRIPE_SECRET_KEY": process.secret_key}
    if not given.get("EMAIL_URL"):
        parts["EMAIL_URL"] = process.email_url
    return parts
