"""`manage.py api_description`: keeps the API's description, unless it breaks what was promised."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.openapi import kept
from config.openapi.errors_page import PAGE, written


class Command(BaseCommand):
    help = (
        "Writes docs/openapi.json and the codes in docs/api.md. Refuses what would break a caller "
        "until docs/api-changelog.md states it; with --check only says so."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        new = kept.current()
        old = kept.kept() if kept.KEPT.exists() else new
        if broken := kept.unstated(old, new, kept.CHANGELOG.read_text()):
            raise CommandError(
                "This breaks callers. State it in docs/api-changelog.md, under the heading of a "
                "new version (VERSION in SPECTACULAR_SETTINGS), or undo it:\n"
                + "\n".join(f"- Breaking: {each}" for each in broken)
            )
        if options["check"]:
            self.stdout.write("Nothing breaks." if old == new else "Nothing breaks; keep it anew.")
            return
        kept.keep(new)
        PAGE.write_text(written(PAGE.read_text(), new))
        self.stdout.write(f"Kept in {kept.KEPT}, the codes in {PAGE}.")
