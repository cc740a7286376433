"""Django's migrate, in the order that apps without migrations need.

Where dj-stripe's tables are made from its models (design.md §9), they refer to the member table,
which a migration makes. Django makes unmigrated apps' tables first; we run the migrations first.
"""

from typing import Any

from django.core.management.commands.migrate import Command as Migrate


class Command(Migrate):
    def handle(self, *args: Any, **options: Any) -> None:
        if options["run_syncdb"] and not options["app_label"]:
            super().handle(*args, **options | {"run_syncdb": False})
        super().handle(*args, **options)
