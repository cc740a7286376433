"""The table of problem codes in docs/api.md, out of the description."""

import re
from typing import Any

from config.openapi.describing import codes, operations
from config.openapi.kept import DOCS

PAGE = DOCS / "api.md"
MOST_NAMED = 5
_TABLE = re.compile(r"(?<=<!-- errors -->\n).*?(?=<!-- end of errors -->)", re.DOTALL)
# What the framework answers before an operation is reached.
_OUTSIDE = [("method_not_allowed", "405", "The address does not know this method.")]


def table(description: dict[str, Any]) -> str:
    """Every code with its status, its sentence, and the operations that answer it."""
    found = _found(description)
    everywhere = len(operations(description))
    rows = [
        f"| `{code}` | {status} | {text} | {_where(names, everywhere)} |"
        for (status, code, text), names in sorted(found.items())
    ]
    rows += [f"| `{code}` | {status} | {text} | any address |" for code, status, text in _OUTSIDE]
    return "\n".join(["| code | status | means | of |", "|---|---|---|---|", *rows, ""])


def _found(description: dict[str, Any]) -> dict[tuple[str, str, str], list[str]]:
    """(status, code, sentence) → the operations that list it; the first sentence stands."""
    said: dict[tuple[str, str], str] = {}
    names: dict[tuple[str, str], list[str]] = {}
    for name, operation in operations(description).items():
        for status, response in operation["responses"].items():
            for code, text in codes(response).items():
                said.setdefault((status, code), text)
                names.setdefault((status, code), []).append(name)
    return {(*key, said[key]): sorted(names[key]) for key in said}


def _where(names: list[str], everywhere: int) -> str:
    if len(names) > MOST_NAMED:
        return "every call" if len(names) == everywhere else f"{len(names)} calls"
    return ", ".join(f"`{name}`" for name in names)


def written(page: str, description: dict[str, Any]) -> str:
    """The page with the table as it should be."""
    return _TABLE.sub(lambda _: table(description), page)
