#!/usr/bin/env python
"""Surehold's command line. `uv run manage.py up` starts the whole product."""

import os
import sys


def main() -> None:
    if sys.argv[1:2] == ["up"]:
        from config.up.cli import main as up

        sys.exit(up(sys.argv[2:]))  # before Django: its settings need the servers that this starts
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
