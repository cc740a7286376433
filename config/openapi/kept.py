"""The description as it was promised last, and what may be changed about it.

It stands in docs/openapi.json. Additions ask only that it is written anew; what would break a
caller must be stated in docs/api-changelog.md first, under the heading of a newer version.
"""

import json
import re
from pathlib import Path
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator

from config.openapi.breaking import breaking

DOCS = Path(settings.BASE_DIR) / "docs"
KEPT = DOCS / "openapi.json"
CHANGELOG = DOCS / "api-changelog.md"
_STATEMENT = "- Breaking: "


def current() -> dict[str, Any]:
    """The description of this code."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    plain: dict[str, Any] = json.loads(json.dumps(made))
    return plain


def kept() -> dict[str, Any]:
    """The one that was promised last."""
    found: dict[str, Any] = json.loads(KEPT.read_text())
    return found


def keep(description: dict[str, Any]) -> None:
    KEPT.write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n")


def unstated(old: dict[str, Any], new: dict[str, Any], changelog: str) -> list[str]:
    """What breaks and is not stated: each line is what a statement has to say.

    A statement is `- Breaking: ` and the finding, under the heading of the new description's
    version, which must be newer than the old one's; `*` in it stands for anything.
    """
    found = breaking(old, new)
    version = new["info"]["version"]
    if _numbers(version) <= _numbers(old["info"]["version"]):
        return found
    patterns = [_pattern(each) for each in _stated(changelog, version)]
    return [each for each in found if not any(pattern.match(each) for pattern in patterns)]


def _stated(changelog: str, version: str) -> list[str]:
    """The statements under a version's heading."""
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)
    ours = [each for each in sections if re.match(rf"{re.escape(version)}\b", each)]
    lines = [line for each in ours for line in each.splitlines()]
    return [line.removeprefix(_STATEMENT) for line in lines if line.startswith(_STATEMENT)]


def _pattern(statement: str) -> re.Pattern[str]:
    """The findings that a statement is about: those that it begins with."""
    said = statement.split(" — ")[0].rstrip(". ")
    return re.compile(re.escape(said).replace(r"\*", ".*") + "$")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]
