"""Publishable keys: they stand in web pages, so whoever looks at a page has one.

A key alone therefore opens nothing but what a stranger may see. Views name the methods that they
open to such keys (`ApiView.publishable`, none by default); a request comes from a page of the key's
origins, and acts on a hold only with that hold's token. What is said here of origins keeps other
sites' pages out, not programs, which can write any header: limits by address are for those.
"""

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from django.http import HttpRequest

from config.kernel.errors import DomainError, InvalidInput
from members.models import ApiKey

HOLD_TOKEN = "Hold-Token"  # noqa: S105
VISITOR = "Surehold-Visitor"
_LOCAL = {"localhost", "127.0.0.1", "[::1]"}
_DEFAULT_PORTS = {"https": 443, "http": 80}
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
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


# --- Origins ------------------------------------------------------------------------------------


def origin_of(text: str) -> str:
    """An origin as browsers write it in `Origin`: scheme, host, and the port unless it is the
    scheme's own. Raises ValueError for what is none, and for http beyond this machine.
    """
    parts = urlsplit(text.strip())
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("An origin has no path: https://club.example")
    return _origin(text.strip())


def origins_of(texts: Iterable[str]) -> list[str]:
    """Each once, in order. Raises ValueError."""
    return list(dict.fromkeys(origin_of(text) for text in texts))


def check_address(key: ApiKey, url: str, field: str) -> str:
    """An address on one of the key's origins: anything else would be an open redirect.

    Raises InvalidInput (400) with the field.
    """
    try:
        known = _origin(url) in key.origins
    except ValueError:
        known = False
    if not known:
        raise InvalidInput("An address on one of this key's origins.", field=field)
    return url


def _origin(url: str) -> str:
    """The origin of an address that every reader of addresses reads alike, or ValueError."""
    if "\\" in url or any(letter.isspace() or not letter.isprintable() for letter in url):
        raise ValueError("This is not an address.")
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or "@" in parts.netloc or not parts.hostname:
        raise ValueError("An origin starts with https://.")
    host = _host(parts.hostname)
    if parts.scheme == "http" and host not in _LOCAL:
        raise ValueError("Use https://; http:// is for this machine only.")
    port = parts.port
    tail = "" if port is None or port == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{host}{tail}"


def _host(name: str) -> str:
    host = f"[{name}]" if ":" in name else name
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if not _HOST.fullmatch(host):
        raise ValueError("This is not the name of a host.")
    return host


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
    return given if given.isascii() and len(given) <= 40 else ""
