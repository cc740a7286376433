"""Ports on this machine: free ones, and the same ones again after a restart."""

import contextlib
import random
import socket

from config.embedded.errors import CannotStartError

# Below the range from which Linux and macOS take the local ends of outgoing connections.
FIRST, LAST = 20_000, 32_000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """True when a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(remembered: int | None = None, avoid: frozenset[int] = frozenset()) -> int:
    """`remembered` when it is still free, else another free port that is not in `avoid`."""
    if remembered is not None and remembered not in avoid and is_free(remembered):
        return remembered
    for _ in range(200):
        port = random.randint(FIRST, LAST)  # noqa: S311
        if port not in avoid and is_free(port):
            return port
    raise CannotStartError(f"No free port between {FIRST} and {LAST} on 127.0.0.1.")


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """True when something accepts a connection there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=0.5):
        return True
    return False
