"""The suite's own instruments: real processes, and the clean slate after them."""

import httpx
import pytest
from django.db import connection

from members.models import Workspace
from tests.servers import servers
from tests.support.instances import Starter
from tests.support.sandbox import SandboxClient


def test_a_transactional_test_leaves_empty_tables(transactional_db: None) -> None:
    from tests.support.flush import empty_all

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_migrations")
        before = cursor.fetchone()
    Workspace.objects.create(slug="x", name="X")
    empty_all()
    assert not Workspace.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_migrations")
        assert cursor.fetchone() == before


@pytest.mark.parametrize(("role", "lock"), [("surehold_web", "2s"), ("surehold_worker", "5s")])
def test_roles_have_their_timeouts(db: None, role: str, lock: str) -> None:
    import psycopg

    url = servers().database_url(connection.settings_dict["NAME"], role)
    with psycopg.connect(url) as session:
        assert session.execute("SHOW lock_timeout").fetchone() == (lock,)
        assert session.execute("SELECT count(*) FROM members_workspace").fetchone() == (0,)


@pytest.mark.long
def test_web_instances_are_real_and_can_be_killed(web: Starter, sandbox: SandboxClient) -> None:
    one, two = web(2)
    for instance in (one, two):
        answer = httpx.get(f"{instance.url}/readyz").json()
        assert answer["dependencies"]["database"] == "ok", answer
        assert answer["degraded"] == []
    one.kill()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{one.url}/healthz")
    assert one.start().url == one.url
    assert httpx.get(f"{one.url}/healthz").status_code == 200


def test_a_worker_and_beat_start(worker: Starter, beat: Starter) -> None:
    (process,) = worker()
    beat()
    assert " ready." in process.log()
