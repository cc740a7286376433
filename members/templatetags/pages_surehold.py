"""Addresses that stay within a frame where a page is shown in one."""

from typing import Any

from django import template

from members.pages import page_url

register = template.Library()


@register.simple_tag(takes_context=True)
def page(context: Any, name: str, *args: Any) -> str:
    """As `url`, but within the frame that the page is in, if it is in one."""
    return page_url(getattr(context, "request", None), name, *args)
