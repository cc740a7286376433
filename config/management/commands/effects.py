"""`manage.py effects`: what happens because of what."""

from typing import Any

from django.core.management.base import BaseCommand

from config.kernel.effects import registered


class Command(BaseCommand):
    help = "Prints every happening and the effects registered for it."

    def handle(self, *args: Any, **options: Any) -> None:
        for happening, effects in registered().items():
            self.stdout.write(happening)
            for effect in effects:
                self.stdout.write(f"    {effect}")
