"""Publishable keys: they stand in web pages, so whoever looks at a page has one.

A key alone therefore opens nothing but what a stranger may see. Views name the methods that they
open to such keys (`ApiView.publishable`, none by default); a request comes from a page of the key's
origins, and acts on a hold only with that hold's token. What is said here of origins keeps other
sites' pages out, not programs, which can write any header: limits by address are for those.
"""

import hashlib
import re
from collections.abc import Iterable

from django.http import HttpRequest

from config.kernel.errors import DomainError, InvalidInput
from members.models import ApiKey
from members.origins import origin_of

HOLD_TOKEN = "Hold-Token"  # noqa: S105
VISITOR = "Surehold-Visitor"
_VISITOR = re.compile(r"[A-Za-z0-9_-]{20,64}", re.ASCII)
MOST_ORIGINS = 50


class OriginNotAllowed(DomainError):
    code = "origin_not_allowed"
    status = 403
    detail = "This key may not be used from this page's origin. Its list is in the admin."


class PublishableKeyNotAllowed(DomainError):
    code = "publishable_key_not_allowed"
    status = 403
    detail = "A publishable key cannot do this. A server can, with a secret key."


def is_publishable(key: object) -> bool:
    return isinstance(key, ApiKey) and key.kind == ApiKey.Kind.PUBLISHABLE


def admit(key: ApiKey, request: HttpRequest, opened: Iterable[str]) -> None:
    """Let a request with a publishable key through. `opened` are the methods that a view opens.

    Raises OriginNotAllowed and PublishableKeyNotAllowed (403).
    """
    if request.headers.get("Origin", "") not in key.origins:
        raise OriginNotAllowed
    method = "GET" if request.method == "HEAD" else request.method
    if method not in set(opened):
        raise PublishableKeyNotAllowed


def check_address(key: ApiKey, url: str, field: str) -> str:
    """An address on one of the key's origins: anything else would be an open redirect.

    Raises InvalidInput (400) with the field.
    """
    if origin_of(url) not in key.origins:
        raise InvalidInput("An address on one of this key's origins.", field=field)
    return url


# --- Strangers ----------------------------------------------------------------------------------


def visitor_of(key: ApiKey, request: HttpRequest) -> str:
    """The stranger behind a publishable key: a random id that their browser has made.

    Two browsers with one key share nothing by it: neither answers (INV-8) nor holds. It is kept as
    a hash, with the key, so that it can be no page's visitor either. Raises InvalidInput (400).
    """
    given = request.headers.get(VISITOR, "")
    if not _VISITOR.fullmatch(given):
        raise InvalidInput(
            "A random id of this browser: 20 to 64 letters, digits, - and _.", field=VISITOR
        )
    return "pk:" + hashlib.sha256(f"{key.pk} {given}".encode()).hexdigest()[:48]


def hold_token(request: HttpRequest) -> str:
    """The token that a stranger brings for a hold; empty where they bring none."""
    given = request.headers.get(HOLD_TOKEN, "").strip()
    return given if given.isascii() and given.isprintable() and len(given) <= 40 else ""
