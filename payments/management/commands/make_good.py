"""`manage.py make_good --from … --to …`: tell those whom we failed, with a link and credit."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from config.kernel.context import Actor
from config.kernel.errors import DomainError
from members.models import Workspace
from payments.making_good import services


class Command(BaseCommand):
    help = "Apologise to everybody hit in a window of time, with a link to book again and credit."

    def add_arguments(self, parser: ArgumentParser) -> None:
        said = "such as 2026-11-21T09:00+13:00"
        parser.add_argument("--from", dest="starts_at", required=True, help=said)
        parser.add_argument("--to", dest="ends_at", required=True, help=said)
        parser.add_argument("--workspace", help="its slug; all without it")
        parser.add_argument("--credit-percent", type=int, default=0, help="of the quoted price")
        parser.add_argument("--credit-minor", type=int, default=0, help="an amount, in minor units")
        parser.add_argument("--words", default="", help="what happened, for the mail")
        parser.add_argument("--dry-run", action="store_true", help="only say who would be told")

    def handle(self, *args: Any, **options: Any) -> None:
        asked = {
            "starts_at": _moment(options["starts_at"], "--from"),
            "ends_at": _moment(options["ends_at"], "--to"),
            "workspace": _workspace(options["workspace"]),
            "credit_percent": options["credit_percent"],
            "credit_minor": options["credit_minor"],
        }
        try:
            found = services.preview(**asked)
        except DomainError as error:
            raise CommandError(f"{error.field}: {error.message}") from error
        self._say(found)
        if options["dry_run"]:
            return
        actor = Actor("staff", label="manage.py make_good")
        incident = services.begin(**asked, actor=actor, words=options["words"])
        told = services.carry_out(incident.pk)
        self.stdout.write(f"Told {told} now, {services.report(incident).told} in all.")

    def _say(self, found: services.Preview) -> None:
        for hit in found.told:
            self.stdout.write(f"{hit.workspace.slug}  {hit.email}  {hit.attempts} failed")
        self.stdout.write(
            f"{found.workspaces} of {found.workspaces_in_all} workspaces affected; "
            f"{len(found.told)} to tell, {len(found.served)} served since, "
            f"{len(found.nameless)} without an address; credit: {found.credit_said or 'none'}."
        )


def _moment(text: str, name: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{name}: give a time such as 2026-11-21T09:00+13:00")
    return moment if moment.tzinfo else timezone.make_aware(moment)


def _workspace(slug: str | None) -> Workspace | None:
    if not slug:
        return None
    found = Workspace.objects.filter(slug=slug).first()
    if found is None:
        raise CommandError(f"--workspace: there is no workspace {slug!r}")
    return found
