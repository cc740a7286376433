"""The database made ready: migrations, webhook endpoints, the demo. A process of its own.

`up` starts before Django can, and these three share one Django start.
"""

import argparse
import io
import json
import logging
import sys
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command, get_commands
from django.db import Error

from config.embedded.run import write_private
from config.up.steps import complain, say, step

DEMO = "demo.json"


def migrate() -> None:
    with step("Tables and rules"):
        call_command("migrate_fast", verbosity=0)


def register_endpoints() -> None:
    """Without them payments still settle when the payer returns, so a failure ends nothing."""
    try:
        with step("Webhook endpoints"):
            call_command("ensure_webhook_endpoints", stdout=io.StringIO())
    except CommandError as error:
        complain(f"no webhooks: {error}")


def seed() -> None:
    """A demo workspace in a database that has none; its logins are written down with it."""
    if apps.get_model("members", "Workspace").objects.exists():
        return
    if "seed_demo" not in get_commands():
        say("  No demo: the command seed_demo is not there.")
        return
    with step("Demo workspace"):
        output = io.StringIO()
        call_command("seed_demo", stdout=output)
        facts: dict[str, Any] = json.loads(output.getvalue().strip().splitlines()[-1])
        write_private(Path(settings.DATA_DIR) / DEMO, facts)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-demo", dest="demo", action="store_false")
    options = parser.parse_args(arguments)
    with step("Django"):
        django.setup()
    logging.getLogger("stripe").setLevel(logging.WARNING)
    try:
        migrate()
        register_endpoints()
        if options.demo:
            seed()
    except (Error, CommandError) as error:
        complain(str(error).strip().splitlines()[0])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
