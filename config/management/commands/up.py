"""`up` for those who reach it through Django; manage.py itself calls config.up directly."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.up.cli import run
from config.up.options import Options, add_arguments


class Command(BaseCommand):
    help = "Start the whole product on this machine: database, Redis, Stripe sandbox, site, worker."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = Options(port=options["port"], data_dir=options["data_dir"], demo=options["demo"])
        raise SystemExit(run(chosen))
