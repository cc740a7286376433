"""Which code is running: kept with evidence, so that a fault can be traced to a release."""

import os
import tomllib
from functools import lru_cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent.parent


@lru_cache(maxsize=1)
def code_version() -> str:
    """`SUREHOLD_VERSION` where a deployment sets it; else the project's version and commit."""
    return os.environ.get("SUREHOLD_VERSION") or "+".join(filter(None, [_project(), _commit()]))


def _project() -> str:
    try:
        found = tomllib.loads((_ROOT / "pyproject.toml").read_text())
    except OSError:
        return "unknown"
    version: str = found["project"]["version"]
    return version


def _commit() -> str:
    """The checked-out commit, shortened; empty where the code did not come by git."""
    try:
        head = (_ROOT / ".git" / "HEAD").read_text().strip()
        if head.startswith("ref: "):
            head = (_ROOT / ".git" / head.removeprefix("ref: ")).read_text().strip()
    except OSError:
        return ""
    return head[:12]
