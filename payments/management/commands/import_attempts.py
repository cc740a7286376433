"""`manage.py import_attempts FILE…`: the rows of failed attempts, from the log of an outage."""

from argparse import ArgumentParser, FileType
from typing import Any

from django.core.management.base import BaseCommand

from payments import attempts


class Command(BaseCommand):
    help = "Take in the booking attempts that failed while the database was away, from the log."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("logs", nargs="+", type=FileType(), help="log files, or - for stdin")

    def handle(self, *args: Any, **options: Any) -> None:
        new = known = 0
        for log in options["logs"]:
            counted = attempts.from_log(log)
            new, known = new + counted[0], known + counted[1]
        self.stdout.write(f"{new} new, {known} known before.")
