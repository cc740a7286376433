"""What every changing form carries."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from members import request_ids

register = template.Library()


@register.simple_tag
def request_id() -> str:
    """A fresh server-issued request id."""
    return request_ids.issue()


@register.simple_tag
def request_id_field() -> SafeString:
    """The hidden field that carries one."""
    return format_html('<input type="hidden" name="request_id" value="{}">', request_ids.issue())
