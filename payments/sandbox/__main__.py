"""``python -m payments.sandbox``."""

from __future__ import annotations

import logging

from .config import read_settings
from .server import serve


def main() -> None:
    """Start with the command line's settings."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    serve(read_settings())


if __name__ == "__main__":
    main()
