"""`manage.py after_restore`: bring restored rows and Stripe together, before the site opens."""

from datetime import timedelta
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from config.kernel import clock
from payments import restoring
from payments.management.commands.reconcile import moment

# The backup's own clock, and how long it took.
_SLACK = timedelta(hours=1)


class Command(BaseCommand):
    help = (
        "After a backup of the database was restored: leave out receipt numbers that members may "
        "have, see to it that nothing is paid back twice, and reconcile with Stripe from the "
        "backup on. Run it once, with the site closed to members. Exits like `reconcile`."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--taken", required=True, help="when the backup was taken (2026-01-31T00:00Z)"
        )
        parser.add_argument(
            "--skip-receipts",
            type=int,
            default=1000,
            help="how many receipt numbers of each workspace to leave out (default: 1000)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        taken, skip = moment(options["taken"]), options["skip_receipts"]
        if taken is None or taken > clock.now() or skip < 0:
            raise CommandError("--taken is a moment that has been, --skip-receipts not below 0.")
        with transaction.atomic():
            restoring.skip_receipt_numbers(skip)
            many = restoring.ask_stripe_first()
        self.stdout.write(f"{skip} receipt numbers of each workspace are left out.")
        self.stdout.write(f"{many} captures, voids and refunds will be looked up before a call.")
        since = (taken - _SLACK).isoformat()
        call_command("reconcile", since=since, stdout=self.stdout)
