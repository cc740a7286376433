"""How a calendar in another page looks: what that page may ask for, and what becomes of it.

A page asks by a few named values in the frame's address. Each is checked here and nowhere else;
what is not understood is left out. Text can be read whatever is asked for: an accent is darkened or
lightened until it can, and a background on which our colours could not be told apart is not used.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from django.utils.translation import get_supported_language_variant

from members.origins import origin_of
from members.rules import luminance

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_FAMILY = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}")
_GENERIC = {
    "serif", "sans-serif", "monospace", "system-ui", "ui-serif", "ui-sans-serif", "ui-monospace",
    "ui-rounded",
}  # fmt: skip
# An accent is text, too, on the background and on tints of it that are a little closer to it.
_ACCENT_CONTRAST = 5.2
_TEXT_CONTRAST = 7.0
# Between these our amber and red could not be read.
_LIGHT_FROM, _DARK_TO = 0.7, 0.06
_PAPER = {"light": "#faf8f3", "dark": "#1a1916"}
_INK = {"light": "#22201a", "dark": "#efece5"}


@dataclass(frozen=True, slots=True)
class Look:
    """`scheme` is light, dark or "" (as the visitor's system is set); `page` is the address of the
    page around it; `only` says that it shows one resource, without a way to the others.
    """

    scheme: str = ""
    accent: str = ""
    background: str = ""
    text: str = ""
    radius: int | None = None
    font: str = ""
    locale: str = ""
    page: str = ""
    only: bool = False

    @property
    def origin(self) -> str:
        """The origin of the page around it, as it says itself."""
        return origin_of(self.page)

    def css(self) -> str:
        """A stylesheet that overrides our own variables."""
        ground = _ground(self.background)
        scheme = ground or self.scheme
        rules = [f"color-scheme:{scheme or 'light dark'}"]
        rules += _colours(self.background, self.text, ground) if ground else []
        rules += _accents(self.accent, self.background if ground else "", scheme)
        rules += [f"--round:{self.radius}px"] if self.radius is not None else []
        rules += [f"--font:{self.font}"] if self.font else []
        return f":root{{{';'.join(rules)}}}"


def look_from(segment: str) -> Look:
    """Read base64url of JSON: {s, a, b, t, r, f, l, p, o}. Nonsense is as if it were not there."""
    try:
        said = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        said = None
    if not isinstance(said, dict):
        return Look()
    text = {key: value for key, value in said.items() if isinstance(value, str)}
    radius = said.get("r")
    return Look(
        scheme=text["s"] if text.get("s") in {"light", "dark"} else "",
        accent=_colour(text.get("a", "")),
        background=_colour(text.get("b", "")),
        text=_colour(text.get("t", "")),
        radius=radius if type(radius) is int and 0 <= radius <= 24 else None,
        font=_font(text.get("f", "")),
        locale=_locale(text.get("l", "")),
        page=_page(text.get("p", "")),
        only=said.get("o") is True,
    )


def segment_of(said: dict[str, Any]) -> str:
    """The other way round, for addresses that we make ourselves."""
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")


def contrast(one: str, other: str) -> float:
    """The WCAG contrast ratio of two colours: 1 to 21."""
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def readable(colour: str, ground: str, *, least: float = _ACCENT_CONTRAST) -> str:
    """The colour, darkened or lightened in steps until it can be read on the ground."""
    towards = 0 if luminance(ground) > 0.18 else 255
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    for step in range(21):
        mixed = [round(part + (towards - part) * step / 20) for part in parts]
        found = "#{:02x}{:02x}{:02x}".format(*mixed)
        if contrast(found, ground) >= least:
            return found
    return found


def _ground(background: str) -> str:
    """`light` or `dark` for a background that can be used, "" for none or one that cannot."""
    if not background:
        return ""
    if luminance(background) >= _LIGHT_FROM:
        return "light"
    return "dark" if luminance(background) <= _DARK_TO else ""


def _colours(paper: str, text: str, ground: str) -> list[str]:
    ink = text if text and contrast(text, paper) >= _TEXT_CONTRAST else _INK[ground]
    lighter = "60%" if ground == "light" else "95%"
    mixes = {"sunken": 95, "line": 86, "line-strong": 50, "soft": 20, "hatch": 80}
    mixed = [f"--{name}:color-mix(in srgb,{paper} {n}%,{ink})" for name, n in mixes.items()]
    return [
        f"--paper:{paper}",
        f"--ink:{ink}",
        f"--surface:color-mix(in srgb,{paper} {lighter},#fff)",
        *mixed,
    ]


def _accents(accent: str, paper: str, scheme: str) -> list[str]:
    if not accent:
        return []
    grounds = [paper] if paper else [_PAPER[s] for s in ([scheme] if scheme else _PAPER)]
    found = [readable(accent, ground) for ground in grounds]
    on = [_label(each) for each in found]
    tint = [f"--accent-tint:color-mix(in srgb,{found[0]} 8%,{paper})"] if paper else []
    return [f"--accent:{_either(found)}", f"--on-accent:{_either(on)}", *tint]


def _label(ground: str) -> str:
    """White or near black, whichever is easier to read on it."""
    return max("#ffffff", "#14130f", key=lambda colour: contrast(colour, ground))


def _either(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"light-dark({','.join(values)})"


def _colour(value: str) -> str:
    value = value.lower()
    return value if _COLOUR.fullmatch(value) else ""


def _font(value: str) -> str:
    """Names of families, quoted anew; the visitor's own fonts only, since we load none."""
    families = [part.strip().strip("\"'") for part in value[:300].split(",")][:6]
    if not all(_FAMILY.fullmatch(family) for family in families):
        return ""
    return ",".join(name if name in _GENERIC else f'"{name}"' for name in families)


def _page(value: str) -> str:
    """As browsers write addresses: in ASCII. JSON may name letters that cannot even be sent."""
    is_address = value.isascii() and value.isprintable() and origin_of(value)
    return value[:1000] if is_address else ""


def _locale(value: str) -> str:
    try:
        return get_supported_language_variant(value.lower()) if value else ""
    except LookupError:
        return ""
