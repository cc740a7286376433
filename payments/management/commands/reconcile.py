"""`manage.py reconcile`: run the checks now and say what they found."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime

from payments.models import Finding
from payments.reconciler import registry, runner

_LINE = "{:<20} {:>10} {:>8} {:>7}  {}"
_ALL_OF_IT = datetime(2011, 1, 1, tzinfo=UTC)
_LONG = 24 * 3600.0


class Command(BaseCommand):
    help = (
        "Run the reconciler's checks now, each to the end of its pass, and print a table. "
        "Exits with 1 while a finding of high severity is open, or a check could not finish."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        names = [check.name for check in registry.CHECKS]
        parser.add_argument("--check", choices=names, help="only this one")
        parser.add_argument("--since", help="look back to this moment at least (2026-01-31T00:00Z)")
        parser.add_argument("--full", action="store_true", help="look at all there ever was")

    def handle(self, *args: Any, **options: Any) -> None:
        since = _ALL_OF_IT if options["full"] else moment(options["since"])
        wanted = options["check"]
        checks = [c for c in registry.CHECKS if wanted in {None, c.name}]
        self.stdout.write(_LINE.format("check", "looked at", "healed", "found", "outcome"))
        unfinished = 0
        for check in checks:
            row = runner.run(check, since=since, seconds=_LONG)
            if row is None:
                self.stdout.write(_LINE.format(check.name, "", "", "", "is running elsewhere"))
                continue
            unfinished += not row.is_complete
            said = row.error[:200] or ("complete" if row.is_complete else "to be continued")
            self.stdout.write(
                _LINE.format(row.name, row.looked_at, row.healed, row.found, said).rstrip()
            )
        self._tell_open()
        if unfinished or Finding.objects.filter(closed_at=None, severity="high").exists():
            raise SystemExit(1)

    def _tell_open(self) -> None:
        found = Finding.objects.filter(closed_at=None).order_by("-last_seen_at")
        self.stdout.write(f"\n{found.count()} open findings")
        for finding in found[:50]:
            self.stdout.write(f"  {finding.severity:<6} {finding.kind:<26} {finding.summary}")


def moment(given: str | None) -> datetime | None:
    """A moment of the command line, UTC unless it says so. Raises CommandError."""
    if given is None:
        return None
    found = parse_datetime(given)
    if found is None:
        raise CommandError("A moment is such as 2026-01-31T00:00Z.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
