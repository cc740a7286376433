"""Reading pages as a browser without JavaScript does: forms, their hidden fields, their buttons."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

from django.test import Client

from bookings.models import Resource


@dataclass
class Form:
    """One form of a page: where it goes, and what it sends."""

    action: str = ""
    method: str = "get"
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[dict[str, str]] = field(default_factory=list)
    text: str = ""


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.inside: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = Form(given.get("action", ""), given.get("method", "get"))
            self.found.append(self.inside)
        elif self.inside and tag == "input" and "name" in given and "disabled" not in given:
            self.inside.fields[given["name"]] = given.get("value", "")
        elif self.inside and tag == "button":
            self.inside.buttons.append(given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.inside.text += data


def forms(response: Any) -> Iterator[Form]:
    """The forms of a page, in order."""
    parser = _Forms()
    parser.feed(response.content.decode())
    yield from parser.found


def form_to(response: Any, ending: str) -> Form:
    """The one form that posts to an address with this ending."""
    found = [form for form in forms(response) if form.action.endswith(ending)]
    assert found, f"no form to {ending} in {text(response)[:600]}"
    return found[0]


def send(client: Client, form: Form, **typed: str) -> Any:
    """Submit a form as it stands, with what somebody typed."""
    return client.post(form.action, form.fields | typed)


def text(response: Any) -> str:
    """The words of a page, without tags and with single spaces."""
    bare = re.sub(r"<(script|style|title).*?</\1>", " ", response.content.decode(), flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", bare).split()).replace("\N{WORD JOINER}", "")


def at_param(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"


def address(resource: Resource) -> str:
    return f"/w/{resource.workspace.slug}/{resource.slug}/"


def choose(client: Client, resource: Resource, start: datetime, minutes: int = 60) -> Any:
    """The resource page with a start chosen."""
    query = {"at": at_param(start), "minutes": str(minutes)}
    return client.get(address(resource), query)


def hold(client: Client, resource: Resource, start: datetime, minutes: int = 60) -> str:
    """Hold a time through the pages; the hold page's address."""
    answer = send(client, form_to(choose(client, resource, start, minutes), "/hold/"))
    assert answer.status_code == 303, text(answer)[:500]
    return answer.url
