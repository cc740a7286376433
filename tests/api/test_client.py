"""A client generated from the description works: docs/api-client.md's own program is run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from bookings.models import Booking
from config.api import rfc3339
from tests.factories import at, make_api_key, make_room
from tests.support.instances import Starter

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
PAGE = Path(settings.BASE_DIR) / "docs" / "api-client.md"
BIN = Path(sys.executable).parent


def test_a_generated_client_places_and_releases_a_hold(web: Starter, tmp_path: Path) -> None:
    room, (server,) = make_room(), web()
    _, secret = make_api_key(workspace=room.workspace)
    description = tmp_path / "description.json"
    description.write_bytes(httpx.get(f"{server.url}/api/v1/schema?format=json").content)
    told = run(
        BIN / "openapi-python-client",
        "generate",
        "--fail-on-warning",
        *("--path", description, "--output-path", tmp_path / "surehold_client", "--meta", "none"),
        cwd=tmp_path,
    )
    assert "arning" not in told, told
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    said = run(
        sys.executable,
        "-c",
        program,
        cwd=tmp_path,
        SUREHOLD_URL=server.url,
        SUREHOLD_KEY=secret,
        RESOURCE=str(room.pk),
        START=rfc3339(at(10)),
        END=rfc3339(at(11)),
    )
    booking = Booking.objects.get()
    held, refused, released = said.splitlines()
    assert held.startswith(f"held {booking.reference} 4500 ")
    assert (refused, released) == ("refused slot_taken", "released 204")
    assert booking.state == "released"


def run(*command: object, cwd: Path, **env: str) -> str:
    """What the program says, on either stream; it must succeed."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(cwd), **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
