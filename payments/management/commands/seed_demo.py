"""`manage.py seed_demo`: Harbour Rooms with a week of bookings; its last line is JSON for `up`."""

import json
import os
import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from config.kernel import clock
from members import api_keys
from members.models import Member, Staff, Workspace
from payments.demo import catalogue, offers, week

SLUG = "harbour"
OWNER = "owner@harbour.example"
MEMBER = "aroha@example.com"


class Command(BaseCommand):
    help = "Makes a demo workspace that looks like a real business."

    def handle(self, *args: Any, **options: Any) -> None:
        if Workspace.objects.filter(slug=SLUG).exists():
            raise CommandError("The demo workspace is there already.")
        password = secrets.token_urlsafe(9)
        with transaction.atomic():
            workspace = _workspace()
            rooms = catalogue.build(workspace)
            offers.build(workspace, rooms, _people(workspace, password))
            _, secret = api_keys.create(
                workspace=workspace,
                name="Demo",
                secret=os.environ.get("SUREHOLD_DEMO_API_KEY", ""),
            )
        made = week.fill(workspace, rooms)
        self.stdout.write(f"{workspace.name}: {len(rooms)} things to book, {made} bookings.")
        self.stdout.write(json.dumps(_facts(password, secret)))


def _workspace() -> Workspace:
    return Workspace.objects.create(
        slug=SLUG,
        name="Harbour Rooms",
        tagline="Rooms, studios and bikes by the hour, in the middle of Auckland.",
        timezone="Pacific/Auckland",
        currency="NZD",
        contact_email="hello@harbour.example",
        cancel_free_hours=48,
        cancel_partial_hours=24,
        cancel_partial_percent=50,
        tax_name="GST",
        tax_basis_points=1500,
    )


def _people(workspace: Workspace, password: str) -> Member:
    """The owner, and a member, who is returned."""
    owner = Member.objects.create_superuser(OWNER, password, name="Marama Wells")
    Staff.objects.create(
        workspace=workspace, member=owner, role=Staff.Role.OWNER, accepted_at=clock.now()
    )
    return Member.objects.create_user(MEMBER, name="Aroha Ngata")


def _facts(password: str, secret: str) -> dict[str, Any]:
    return {
        "site": f"/w/{SLUG}/",
        "logins": [
            {"what": "Owner (admin)", "email": OWNER, "password": password},
            {"what": "Member", "email": MEMBER},
        ],
        "code": offers.CODE,
        "api_key": secret,
    }
