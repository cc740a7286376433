"""`manage.py purge`: what beat does every hour, now."""

from typing import Any

from django.core.management.base import BaseCommand

from members import purging as answers
from payments import purging


class Command(BaseCommand):
    help = "Delete ended holds without money, idempotency keys and webhooks past their time."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{purging.ended_holds()} ended holds")
        self.stdout.write(f"{answers.idempotency_keys()} idempotency keys")
        self.stdout.write(f"{answers.webhook_messages()} webhook messages")
