"""The environment in which the product's processes run, and how other commands find it."""

import json
import os
import sys
from pathlib import Path

from config.embedded.run import PROJECT, Run
from config.up.options import Options

KEPT = "environment"


def of_children(run: Run, options: Options, parts: dict[str, str]) -> dict[str, str]:
    """The environment of every process; what the caller set wins over what `up` would choose."""
    chosen = {
        "SITE_URL": f"http://localhost:{options.port}",
        # Celery's advice to root is for servers, where the Procfile is; here it hides what matters.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        **parts,
    }
    given = {name: value for name, value in os.environ.items() if value or name not in chosen}
    return {
        **chosen,
        **given,
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "PATH": _path(),
        "PORT": str(options.port),
        "SUREHOLD_DATA_DIR": str(run.folder),
        "PYTHONUNBUFFERED": "1",
    }


def keep(run: Run, parts: dict[str, str]) -> None:
    """Let `manage.py shell` and the like find the servers while they run."""
    run.remember(KEPT, parts)


def adopt() -> None:
    """Fill this process's environment with the running `up`'s servers, where it says nothing."""
    if sys.argv[1:2] == ["up"]:
        return
    folder = Path(os.environ.get("SUREHOLD_DATA_DIR") or PROJECT / ".surehold")
    try:
        kept = json.loads((folder / f"{KEPT}.json").read_text())
    except (OSError, ValueError):
        return
    for name, value in kept.items():
        os.environ.setdefault(name, value)


def _path() -> str:
    """The folder of this Python's own programs first: granian and celery stand there."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
