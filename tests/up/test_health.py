"""`/readyz`: only the database decides; what else is gone is named."""

import time

import httpx
import pytest
from django.db.migrations.executor import MigrationExecutor
from django.test import Client

from config import health
from tests.support.instances import Starter
from tests.support.sandbox import SandboxClient


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_remembered", {})
    monkeypatch.setattr(health, "_migrated", False)


def test_all_there(db: None, client: Client, sandbox: SandboxClient) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert set(answer.json()["dependencies"].values()) == {"ok"}
    assert "no-store" in answer["Cache-Control"]


def test_without_redis_it_is_degraded_and_ready(
    db: None, client: Client, sandbox: SandboxClient, settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["degraded"]) == (200, ["redis"])


def test_with_migrations_missing_it_is_not_ready(
    db: None, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: ["one"])
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["dependencies"]["database"] == "migrations missing"
    monkeypatch.undo()
    assert client.get("/readyz").status_code == 200  # it looks again, without a restart


def test_without_a_database_it_says_so_within_seconds(web: Starter) -> None:
    (instance,) = web(env={"DATABASE_URL_WEB": "postgres://nobody:none@127.0.0.1:9/none"})
    began = time.monotonic()
    answer = httpx.get(f"{instance.url}/readyz", timeout=20)
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert time.monotonic() - began < 8
    assert httpx.get(f"{instance.url}/healthz").status_code == 200
