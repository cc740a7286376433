"""The calendar server, for everything in this folder."""

from tests.support.radicale import radicale, radicale_server

__all__ = ["radicale", "radicale_server"]
