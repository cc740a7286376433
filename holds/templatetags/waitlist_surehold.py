"""The way into a line, from the pages where somebody finds a time taken."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.urls import reverse

from bookings.checks import broken_rules
from bookings.models import Resource
from bookings.rules import Rules, Window

register = template.Library()


@register.simple_tag
def wait_url(resource: Resource, start: Any = None, end: Any = None, quantity: int = 1) -> str:
    """The form that joins the line, with a window filled in where one is given."""
    page = reverse("holds:wait", args=[resource.workspace.slug, resource.slug])
    if start is None or end is None:
        return page
    said = {"start": f"{start:%Y-%m-%dT%H:%MZ}", "end": f"{end:%Y-%m-%dT%H:%MZ}"}
    if quantity > 1:
        said["quantity"] = str(quantity)
    return f"{page}?{urlencode(said)}"


@register.simple_tag
def can_wait(window: Window, rules: Rules, now: datetime) -> bool:
    """Whether the rules give this window once nobody else has it."""
    return not broken_rules(rules, window, quantity=1, now=now)
