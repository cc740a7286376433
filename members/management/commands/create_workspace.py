"""`manage.py create_workspace`: a real, empty workspace with its owner invited by mail."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from members import workspaces


class Command(BaseCommand):
    help = "Makes an empty workspace and mails its first staff member a link into the admin."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="What members read: “Harbour Rooms”.")
        parser.add_argument("--slug", required=True, help="Its address: /w/<slug>/.")
        parser.add_argument("--owner-email", required=True)
        parser.add_argument("--owner-name", default="")
        parser.add_argument("--timezone", default="UTC", help="Such as Pacific/Auckland.")
        parser.add_argument("--currency", default="EUR", help="Such as NZD.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            validate_email(options["owner_email"])
            workspace = workspaces.create(
                name=options["name"],
                slug=options["slug"],
                timezone=options["timezone"],
                currency=options["currency"],
                owner_email=options["owner_email"],
                owner_name=options["owner_name"],
            )
        except ValidationError as error:
            raise CommandError("; ".join(_sentences(error))) from None
        self.stdout.write(f"{workspace.name} is at /w/{workspace.slug}/.")
        self.stdout.write(f"A link into the admin is on its way to {options['owner_email']}.")


def _sentences(error: ValidationError) -> list[str]:
    if not hasattr(error, "error_dict"):
        return list(error.messages)
    return [f"{name}: {' '.join(found)}" for name, found in error.message_dict.items()]
