"""Origins of other sites: scheme, host and port, as browsers write them in `Origin`.

One set of rules, whether pages may frame ours (`Workspace.embed_origins`), use a publishable key
(`ApiKey.origins`) or be led back to: what is read differently by different readers of addresses
(backslashes, users, hosts in other letters) has no origin here.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*|\[[0-9a-f:.]+\]")
_LOCAL = {"localhost", "127.0.0.1", "[::1]"}
_DEFAULT_PORTS = {"https": 443, "http": 80}


def origin_of(url: str) -> str:
    """The origin of an address, whatever its path; "" where it has none, and for http beyond this
    machine. It can be compared with a browser's `Origin`, and stand in a header of ours.
    """
    try:
        return _origin(url)
    except ValueError:
        return ""


def is_origin(value: str) -> bool:
    """Whether this is an origin, just as browsers write it."""
    return value != "" and origin_of(value) == value


def origins_of(texts: Iterable[str]) -> list[str]:
    """What people write for origins, as browsers do; each once, in order.

    Raises ValueError, which says what is wrong.
    """
    return list(dict.fromkeys(_as_browsers_write(text.strip()) for text in texts))


def validate_origins(values: Iterable[str]) -> None:
    """Raise ValidationError unless all are secure origins (plain http: this machine only)."""
    wrong = [value for value in values if not is_origin(value)]
    if wrong:
        raise ValidationError(
            f"“{wrong[0]}” is not the origin of a site. Use one like https://club.example or "
            "https://club.example:8443: in small letters, without a path or a slash at the end, "
            "and without the port where it is the usual one. http:// is for localhost only."
        )


def _as_browsers_write(text: str) -> str:
    parts = urlsplit(text)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("An origin has no path: https://club.example")
    host = parts.hostname or ""
    return _origin(text if host.isascii() else text.lower().replace(host, _in_ascii(host)))


def _in_ascii(host: str) -> str:
    """A host in letters of its own as xn--…, where browsers are sure to do it the same way."""
    found = host.encode("idna")
    if found.decode("idna") != host:
        raise ValueError("Write the name of this host as browsers show it in `Origin`: xn--…")
    return found.decode("ascii")


def _origin(url: str) -> str:
    if "\\" in url or any(letter.isspace() or not letter.isprintable() for letter in url):
        raise ValueError("This is not an address.")
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or "@" in parts.netloc or not parts.hostname:
        raise ValueError("An origin starts with https://.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if not _HOST.fullmatch(host):
        raise ValueError("This is not the name of a host.")
    if parts.scheme == "http" and host not in _LOCAL:
        raise ValueError("Use https://; http:// is for this machine only.")
    if parts.port == 0:
        raise ValueError("There is no port 0.")
    own_port = parts.port is None or parts.port == _DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if own_port else f":{parts.port}")
