"""What `up` can be told."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from config.embedded.run import PROJECT


@dataclass(frozen=True)
class Options:
    port: int
    data_dir: Path
    demo: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    folder = os.environ.get("SUREHOLD_DATA_DIR") or PROJECT / ".surehold"
    parser.add_argument("--port", type=_port, default=8000, help="the site's port [8000]")
    parser.add_argument(
        "--data-dir", type=Path, default=Path(folder), help="where everything is kept [.surehold]"
    )
    parser.add_argument(
        "--no-demo", dest="demo", action="store_false", help="make no demo workspace"
    )


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="manage.py up",
        description="Start the whole product on this machine, with nothing else installed.",
        epilog="DATABASE_URL, REDIS_URL, STRIPE_SECRET_KEY (with STRIPE_API_HOST) and EMAIL_URL "
        "each replace the part that would be started for them.",
    )
    add_arguments(parser)
    found = parser.parse_args(arguments)
    return Options(port=found.port, data_dir=found.data_dir, demo=found.demo)


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65_536:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return port
