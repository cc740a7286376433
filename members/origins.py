"""Origins of other sites: scheme, host and port, as browsers write them."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_ORIGIN = re.compile(
    rf"(https?)://({_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::([1-9][0-9]{{0,4}}))?"
)
_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_DEFAULT_PORTS = {"https": "443", "http": "80"}


def is_origin(value: str) -> bool:
    """Whether it can be compared with a browser's `Origin`, and stand in a header of ours."""
    found = _ORIGIN.fullmatch(value)
    if found is None:
        return False
    scheme, host, port = found.group(1), found.group(2), found.groups()[-1]
    if scheme == "http" and host not in _LOCAL:
        return False
    return port is None or (port != _DEFAULT_PORTS[scheme] and int(port) < 65536)


def validate_origins(values: Iterable[str]) -> None:
    """Raise ValidationError unless all are secure origins (plain http: this machine only)."""
    wrong = [value for value in values if not is_origin(value)]
    if wrong:
        raise ValidationError(
            f"“{wrong[0]}” is not the origin of a site. Use one like https://club.example or "
            "https://club.example:8443: in small letters, without a path or a slash at the end, "
            "and without the port where it is the usual one. http:// is for localhost only."
        )


def origin_of(url: str) -> str:
    """The origin of an http(s) address, or an empty string."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    own_port = "" if port is None or str(port) == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{host}{own_port}"
