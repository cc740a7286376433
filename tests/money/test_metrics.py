"""`/metrics`: who may read it, and that each figure tells what is so."""

import math
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from config.kernel import clock
from members.models import Notification
from payments import findings
from payments.models import Finding
from payments.reconciler.slots import SOLD_TWICE
from tests.admin.test_findings import all_checked
from tests.core.support import hold, lapse, line
from tests.factories import make_room

pytestmark = pytest.mark.django_db
TOKEN = "for-prometheus-only"


@pytest.fixture(autouse=True)
def token(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


def figures(client: Client) -> dict[str, float]:
    """Each figure by its name, and its label's value where it has one."""
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("given", [None, "", "Bearer ", "Bearer another", TOKEN])
def test_without_the_token_there_is_no_such_page(client: Client, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    assert client.get("/metrics", headers=headers).status_code == 404


def test_without_a_token_set_nobody_reads_it(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_what_waits_is_counted_since_it_was_due(client: Client) -> None:
    before = figures(client)
    assert before["surehold_waiting mail"] == 0
    assert before["surehold_waiting_oldest_seconds mail"] == 0
    now = clock.now()
    for minutes, once in [(10, "a"), (1, "b"), (-5, "c")]:
        Notification.objects.create(
            kind="test", to="a@example.test", once=once, payload={},
            due_at=now - timedelta(minutes=minutes),
        )  # fmt: skip
    found = figures(client)
    assert found["surehold_waiting mail"] == 2
    assert 600 <= found["surehold_waiting_oldest_seconds mail"] < 700
    for what in ("webhook", "calendar", "refund"):
        assert found[f"surehold_waiting {what}"] == 0


def test_holds_are_live_until_they_lapse(client: Client) -> None:
    room = make_room()
    hold(line(room))
    lapse(hold(line(room, 11, 12)))
    found = figures(client)
    assert (found["surehold_holds_live"], found["surehold_holds_untidied"]) == (1, 1)


def test_findings_by_severity_and_what_is_not_known(client: Client) -> None:
    found = figures(client)
    assert found["surehold_findings_open high"] == 0
    assert math.isnan(found["surehold_overlaps"])
    assert math.isnan(found["surehold_unexplained_money"])
    all_checked()
    findings.file(
        kind=SOLD_TWICE, severity=Finding.Severity.HIGH, summary="two at once", evidence={},
        subject_type="line", subject_id=make_room().pk, workspace=None,
    )  # fmt: skip
    found = figures(client)
    assert (found["surehold_overlaps"], found["surehold_unexplained_money"]) == (1, 0)
    assert found["surehold_findings_open high"] == 1


def test_it_costs_as_many_queries_whatever_there_is(client: Client) -> None:
    with CaptureQueriesContext(connection) as empty:
        figures(client)
    all_checked()
    for hour in (9, 10, 11):
        hold(line(make_room(), hour, hour + 1))
    with CaptureQueriesContext(connection) as full:
        figures(client)
    assert len(full) <= len(empty)
