"""Answers of the sandbox's own pages and tools."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

# A form's redirect must be free to leave for the shop, so forms are not restricted here.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'"


@dataclass
class Page:
    """One answer: HTML unless ``type`` says otherwise."""

    status: int
    body: str | bytes
    type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)

    def all_headers(self) -> dict[str, str]:
        """Headers with the ones every page gets."""
        usual = {
            "Content-Type": self.type,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        if self.type.startswith("text/html"):
            usual["Content-Security-Policy"] = _POLICY
        return {**usual, **self.headers}


def redirect(address: str) -> Page:
    """Go there with a GET."""
    return Page(303, "", headers={"Location": address})


def as_json(data: Any, status: int = 200) -> Page:
    """JSON for programs."""
    body = json.dumps(data, indent=2, ensure_ascii=False)
    return Page(status, body, "application/json; charset=utf-8")
