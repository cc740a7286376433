"""Migrate, with dj-stripe's tables made at once where there are none yet.

dj-stripe's own migrations take half a minute of CPU. What they arrive at is known without running
them: the models of their last state. Those tables are made, and the migrations recorded as
applied, in one transaction, so a killed first start leaves either nothing or all of it. tests/up
compares both ways' catalogues. Production migrates normally (the Procfile's release).
"""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

APP = "djstripe"


class Command(BaseCommand):
    help = "Apply what is missing; a new database's dj-stripe tables are made at once."

    def handle(self, *args: Any, **options: Any) -> None:
        executor = MigrationExecutor(connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return
        if not _is_begun(executor):
            call_command("migrate", "members", verbosity=0)  # whom dj-stripe's tables refer to
            _make_tables()
        call_command("migrate", interactive=False, verbosity=options["verbosity"])


def _is_begun(executor: MigrationExecutor) -> bool:
    """Whether dj-stripe's tables came about already, by migrations or from models."""
    recorded = any(app == APP for app, _ in executor.loader.applied_migrations)
    tables = connection.introspection.table_names()
    return recorded or any(name.startswith(f"{APP}_") for name in tables)


def _make_tables() -> None:
    """dj-stripe's tables as its last migration leaves them, and all recorded: both or neither."""
    loader = MigrationExecutor(connection).loader
    names = sorted(name for app, name in loader.disk_migrations if app == APP)
    # The state's models and not the app's: the keys of its many-to-many tables differ (bigint).
    models = (
        loader.project_state(loader.graph.leaf_nodes(APP)).apps.get_app_config(APP).get_models()
    )
    recorder = MigrationRecorder(connection)
    with transaction.atomic():
        with connection.schema_editor() as editor:
            for model in models:
                if model._meta.can_migrate(connection):
                    editor.create_model(model)
        for name in names:
            recorder.record_applied(APP, name)
