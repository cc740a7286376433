"""What the sandbox is told at its start: command line first, then ``SANDBOX_*``, then defaults."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DEFAULT_SECRET_KEY = "sk_test_sandbox00000000000000000"  # noqa: S105 - opens nothing but this sandbox
DEFAULT_PLATFORM = "acct_Sandbox000000001"


@dataclass(frozen=True)
class Settings:
    """Where the sandbox listens, where it keeps its state, and which key it answers to."""

    host: str
    port: int
    data: Path
    secret_key: str
    smtp_port: int
    platform: str
    public_url: str

    @property
    def base_url(self) -> str:
        """The address payers' browsers use to reach this process."""
        return self.public_url.rstrip("/") or f"http://{self.host}:{self.port}"


def _parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m payments.sandbox", description=__doc__)

    def option(name: str, default: str, kind: type, about: str) -> None:
        variable = "SANDBOX_" + name.strip("-").replace("-", "_").upper()
        parser.add_argument(
            name, type=kind, default=env.get(variable, default), help=f"{about} [{variable}]"
        )

    option("--host", "127.0.0.1", str, "address to listen on")
    option("--port", "8420", int, "port of the API, the payment page and the tools")
    option("--data", ".sandbox", Path, "folder that keeps the state")
    option("--secret-key", DEFAULT_SECRET_KEY, str, "the only API key that is accepted")
    option("--smtp-port", "8421", int, "port that takes mail for the mailbox; 0 turns it off")
    option("--platform-account", DEFAULT_PLATFORM, str, "id of the platform's own account")
    option("--public-url", "", str, "address of this process as browsers see it")
    return parser


def read_settings(
    arguments: Sequence[str] | None = None, env: Mapping[str, str] | None = None
) -> Settings:
    """Settings from ``arguments`` (or the command line) and ``env`` (or the process's)."""
    given = _parser(os.environ if env is None else env).parse_args(arguments)
    return Settings(
        host=given.host,
        port=given.port,
        data=given.data,
        secret_key=given.secret_key,
        smtp_port=given.smtp_port,
        platform=given.platform_account,
        public_url=given.public_url,
    )
