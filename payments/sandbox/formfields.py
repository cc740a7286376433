"""Pieces of the control page: small forms, each with one button or one choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from .store import Obj

ADDRESS = "/_sandbox/control"

Options = Iterable[tuple[str, str]]


def button(label: str, /, **fields: object) -> str:
    """A form that is nothing but a button; ``fields`` go with it."""
    inside = f'{_hidden(fields)}<button class="quiet">{label}</button>'
    return f'<form method="post" action="{ADDRESS}">{inside}</form>'


def choice(label: str, inside: str, **fields: object) -> str:
    """A form with selects or numbers ``inside`` and a button."""
    return (
        f'<form method="post" action="{ADDRESS}" class="choose">{_hidden(fields)}{inside}'
        f"<button>{label}</button></form>"
    )


def _hidden(fields: Mapping[str, object]) -> str:
    return "".join(
        f'<input type="hidden" name="{name.rstrip("_")}" value="{escape(str(value))}">'
        for name, value in fields.items()
    )


def select(label: str, name: str, options: Options) -> str:
    """One of several."""
    shown = "".join(
        f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options
    )
    return f'<label class="field">{label}<select name="{name}">{shown}</select></label>'


def number(label: str, name: str, value: int) -> str:
    """A whole number from 0."""
    return (
        f'<label class="field">{label}<input type="number" name="{name}" min="0" step="1"'
        f' value="{value}" required></label>'
    )


def card(title: str, *parts: str) -> str:
    """A titled part of the page."""
    name = title.lower().replace(" ", "-")
    return f'<section class="card" aria-labelledby="{name}"><h2 id="{name}">{title}</h2>' + (
        "".join(parts) + "</section>"
    )


def buttons(*parts: str) -> str:
    """Forms side by side."""
    return f'<div class="buttons">{"".join(parts)}</div>'


def described(fault: Obj) -> str:
    """A fault in a few words."""
    wanted = ", ".join(f"{name} {value}" for name, value in fault["match"].items())
    left = "until lifted" if fault["remaining"] is None else f"{fault['remaining']} to come"
    return escape(f"{fault['kind']}{f' ({wanted})' if wanted else ''}: {left}")
