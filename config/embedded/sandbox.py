"""The Stripe sandbox: a stand-in for Stripe, and a mailbox, as a process of its own."""

import secrets
import string
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass

from config.embedded.run import Child, Run

READY_SECONDS = 30.0


@dataclass(frozen=True)
class Sandbox:
    child: Child
    port: int
    smtp_port: int
    secret_key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def email_url(self) -> str:
        return f"smtp://127.0.0.1:{self.smtp_port}"


def secret_key() -> str:
    """A key of the form that dj-stripe accepts, and that no real Stripe account has."""
    letters = string.ascii_letters + string.digits
    return "sk_test_" + "".join(secrets.choice(letters) for _ in range(32))


def start(run: Run) -> Sandbox:
    """Start the run's sandbox; `wait` until it answers."""
    folder = run.folder / "sandbox"
    folder.mkdir(mode=0o700, exist_ok=True)
    port, smtp_port = run.port("sandbox"), run.port("smtp")
    key = run.secret("stripe", secret_key)
    command = [sys.executable, "-m", "payments.sandbox", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--smtp-port", str(smtp_port)]
    command += ["--data", str(folder), "--secret-key", key]
    return Sandbox(run.start("Sandbox", command), port, smtp_port, key)


def wait(server: Sandbox) -> None:
    server.child.wait_until(lambda: _healthy(server), READY_SECONDS)


def _healthy(server: Sandbox) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/_sandbox/health", timeout=1) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
