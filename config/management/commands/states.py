"""`manage.py states > docs/states.md`: every state machine, drawn from its table."""

from typing import Any

from django.core.management.base import BaseCommand

from config.kernel.transitions import known

HEAD = """# States

Drawn from the tables by `manage.py states > docs/states.md`. The same tables make the check in
Python and the trigger in PostgreSQL (INV-3), so what is not drawn here does not happen.
"""


class Command(BaseCommand):
    help = "Prints every state machine as a diagram."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(page(), ending="")


def page() -> str:
    """The whole page, in Markdown."""
    parts = [
        f"\n## {table.name.capitalize()}\n\n```mermaid\n{table.diagram()}\n```\n"
        for table in known()
    ]
    return HEAD + "".join(parts)
