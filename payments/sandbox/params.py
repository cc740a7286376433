"""Form-encoded nested parameters: decoding them, and checking them against a description.

A description is built from checks; a check takes a raw value and the parameter's name and returns
the value in its own type, or raises the error Stripe would answer with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .errors import StripeError, invalid

Check = Callable[[Any, str], Any]

_PART = re.compile(r"\[([^\]]*)\]")


def decode(encoded: str) -> dict[str, Any]:
    """``a[b][0]=c`` as ``{"a": {"b": {"0": "c"}}}``; ``a[]=c`` counts up from 0."""
    root: dict[str, Any] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        head, _, rest = name.partition("[")
        _place(root, [head, *_PART.findall("[" + rest if rest else "")], value, name)
    return root


def _place(root: dict[str, Any], parts: list[str], value: str, name: str) -> None:
    node = root
    for part in parts[:-1]:
        node = node.setdefault(part or str(len(node)), {})
        if not isinstance(node, dict):
            raise invalid(f"Invalid parameter: {name}.", name)
    node[parts[-1] or str(len(node))] = value


def string(*, max_length: int = 5000, choices: Iterable[str] = (), blank: bool = True) -> Check:
    """Text, optionally one of ``choices``; ``blank`` allows ``""``, which means "unset"."""
    allowed = tuple(choices)

    def check(value: Any, name: str) -> str | None:
        if not isinstance(value, str):
            raise invalid("Invalid string.", name)
        if value == "":
            if blank:
                return None
            raise invalid("This value may not be empty.", name, "parameter_invalid_empty")
        if len(value) > max_length:
            raise invalid(f"Must be at most {max_length} characters.", name)
        if allowed and value not in allowed:
            raise invalid(f"Invalid {name}: must be one of {', '.join(allowed)}.", name)
        return value

    return check


def integer(*, least: int | None = None, most: int | None = None) -> Check:
    """A whole number within bounds."""

    def check(value: Any, name: str) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"-?\d{1,18}", value):
            raise invalid(f"Invalid integer: {value}", name, "parameter_invalid_integer")
        number = int(value)
        if least is not None and number < least:
            raise invalid(f"This value must be greater than or equal to {least}.", name)
        if most is not None and number > most:
            raise invalid(f"This value must be less than or equal to {most}.", name)
        return number

    return check


def boolean(value: Any, name: str) -> bool:
    """``true`` or ``false``."""
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", name)
    return bool(value == "true")


def url(value: Any, name: str) -> str:
    """An absolute http(s) address."""
    text = string(blank=False)(value, name)
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise invalid("Not a valid URL.", name, "url_invalid")
    return str(text)


def email(value: Any, name: str) -> str | None:
    """An e-mail address, or ``None`` for an empty value."""
    text = string(max_length=800)(value, name)
    if text is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        raise invalid(f"Invalid email address: {text}", name, "email_invalid")
    return None if text is None else str(text)


def items(check: Check, *, most: int = 100) -> Check:
    """A list; the form encodes it as a mapping from positions."""

    def check_all(value: Any, name: str) -> list[Any]:
        if value == "":
            return []
        if not isinstance(value, dict) or not all(key.isdigit() for key in value):
            raise invalid("Invalid array.", name)
        if len(value) > most:
            raise invalid(f"At most {most} entries are allowed.", name)
        ordered = sorted(value.items(), key=lambda pair: int(pair[0]))
        return [check(entry, f"{name}[{index}]") for index, entry in ordered]

    return check_all


def metadata(value: Any, name: str) -> dict[str, str]:
    """Up to 50 pairs, keys of 40 and values of 500 characters; an empty value drops its key."""
    if value == "":
        return {}
    if not isinstance(value, dict) or len(value) > 50:
        raise invalid("Metadata must be at most 50 pairs of text.", name)
    for key, text in value.items():
        if not isinstance(text, str) or len(key) > 40 or len(text) > 500:
            raise invalid("Metadata keys have up to 40 characters, values up to 500.", name)
    return {key: text for key, text in value.items() if text != ""}


def anything(value: Any, name: str) -> Any:
    """Accepted and kept as it came, lists as mappings."""
    return value


def group(fields: Mapping[str, Check], required: Iterable[str] = ()) -> Check:
    """A nested mapping; a name that is not in ``fields`` is refused, a missing one too."""
    needed = tuple(required)

    def check(value: Any, name: str) -> dict[str, Any]:
        if value == "":
            value = {}
        if not isinstance(value, dict):
            raise invalid("Invalid object.", name)
        for key in needed:
            if key not in value:
                raise _missing(f"{name}[{key}]" if name else key)
        return {
            key: _known(fields, key, name)(entry, f"{name}[{key}]" if name else key)
            for key, entry in value.items()
        }

    return check


def _known(fields: Mapping[str, Check], key: str, inside: str) -> Check:
    if key in fields:
        return fields[key]
    name = f"{inside}[{key}]" if inside else key
    raise invalid(f"Received unknown parameter: {name}", name, "parameter_unknown")


def _missing(name: str) -> StripeError:
    return invalid(f"Missing required param: {name}.", name, "parameter_missing")


def range_query(value: Any, name: str) -> dict[str, int]:
    """``created``: one time, or bounds ``gt``, ``gte``, ``lt``, ``lte``."""
    if isinstance(value, str):
        moment = integer()(value, name)
        return {"gte": moment, "lte": moment}
    bounds = group({bound: integer() for bound in ("gt", "gte", "lt", "lte")})(value, name)
    return dict(bounds)


EXPAND: dict[str, Check] = {"expand": items(string(blank=False))}
PAGE: dict[str, Check] = {
    **EXPAND,
    "created": range_query,
    "ending_before": string(),
    "limit": integer(least=1, most=100),
    "starting_after": string(),
}
