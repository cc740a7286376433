"""Make a server's roles what the processes log in as, with the timeouts they need.

The roles come from the same addresses that the processes use, so no password is written twice.
"""

import os
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import roles

KINDS = {"DATABASE_URL": "owner", "DATABASE_URL_WEB": "web", "DATABASE_URL_WORKER": "worker"}


class Command(BaseCommand):
    help = (
        "Create or update the database, its owner (DATABASE_URL) and the roles of web and worker "
        "(DATABASE_URL_WEB, DATABASE_URL_WORKER) with their timeouts. Repeatable."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--admin-url",
            default=os.environ.get("DATABASE_ADMIN_URL", ""),
            help="address of a role that may create roles, databases and extensions "
            "[DATABASE_ADMIN_URL]",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["admin_url"]:
            raise CommandError("Give --admin-url or DATABASE_ADMIN_URL.")
        urls = {name: os.environ[name] for name in KINDS if os.environ.get(name)}
        if "DATABASE_URL" not in urls:
            raise CommandError("DATABASE_URL is missing: it names the database and its owner.")
        logins = [_login(name, url) for name, url in urls.items()]
        if len({login.name for login in logins}) < len(logins):
            raise CommandError("Each address needs a role of its own; two name the same.")
        database = urlsplit(urls["DATABASE_URL"]).path.strip("/")
        try:
            roles.apply(admin_url=options["admin_url"], database=database, logins=logins)
        except psycopg.Error as error:
            raise CommandError(f"The server refused: {error}".strip()) from error
        for login in logins:
            timeouts = ", ".join(f"{name} {value}" for name, value in login.timeouts.items())
            self.stdout.write(f"{login.name} ({login.kind}): {timeouts}")


def _login(name: str, url: str) -> roles.Login:
    parts = urlsplit(url)
    if not parts.username or not parts.password:
        raise CommandError(f"{name} must name a role and its password.")
    return roles.Login(unquote(parts.username), unquote(parts.password), KINDS[name])
