"""What we failed is remembered: beside the failed transaction, or from the log of an outage."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client

from bookings.models import Booking, Resource
from payments import attempts
from payments.attempts import MARK
from payments.models import FailedAttempt
from tests.api.client import Api, claim
from tests.api.test_unavailable import locked
from tests.core.support import hold, line, tomorrow
from tests.factories import make_add_on, make_api_key, make_room


@pytest.fixture
def room(transactional_db: None) -> Iterator[Resource]:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '100ms'")
    yield make_room()
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


@pytest.fixture
def api(room: Resource) -> Api:
    _, secret = make_api_key(workspace=room.workspace)
    return Api(secret)


def the_line(caplog: pytest.LogCaptureFixture) -> str:
    (said,) = [r.getMessage() for r in caplog.records if r.name == "surehold.attempts"]
    return said


def test_a_claim_that_met_a_stuck_lock_is_kept(room: Resource, api: Api) -> None:
    with locked(room):
        response = api.post(
            "/holds",
            claim(room) | {"member": {"email": "Ana@Example.test", "name": "Ana"}},
            key="k",
        )
    assert response.status_code == 503
    kept = FailedAttempt.objects.get()
    assert (kept.what, kept.status, kept.code) == ("hold", 503, "temporarily_unavailable")
    assert (kept.workspace, kept.email) == (room.workspace, "ana@example.test")
    assert [each["resource"] for each in kept.lines] == [str(room.pk)]
    assert kept.request_id == response["X-Request-Id"]
    assert kept.quoted_minor == claimed_total(room, api)
    assert not kept.is_from_log


def claimed_total(room: Resource, api: Api) -> int:
    response = api.post("/holds", claim(room), key="again")
    assert response.status_code == 201, response.content
    return Booking.objects.get().total_minor


def test_an_honest_no_is_not_kept(room: Resource, api: Api) -> None:
    hold(line(room))
    taken = {"lines": [_asked(room)]}
    assert api.post("/holds", taken, key="k").status_code == 409
    assert api.post("/holds", {"lines": []}, key="l").status_code == 400
    assert not FailedAttempt.objects.exists()


def _asked(room: Resource) -> dict[str, str]:
    start, end = tomorrow(9).isoformat(), tomorrow(10).isoformat()
    return {"resource": str(room.pk), "start": start, "end": end}


def test_a_page_that_failed_is_kept(
    room: Resource, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from members import request_ids

    def broken(**asked: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("payments.holding.services.claim", broken)
    helmet = make_add_on(room).pool
    posted = {**_asked(room), f"add-{helmet.pk}": "1", "request_id": request_ids.issue()}
    response = client.post(f"/w/{room.workspace.slug}/{room.slug}/hold/", posted)
    assert response.status_code == 503
    kept = FailedAttempt.objects.get()
    assert (kept.what, kept.code) == ("hold", "temporarily_unavailable")
    assert [(each["resource"], each["add_ons"]) for each in kept.lines] == [
        (str(room.pk), [{"resource": str(helmet.pk), "quantity": 1}])
    ]
    assert kept.email == ""


def test_paying_while_stripe_is_away_is_kept_with_its_booking(
    room: Resource, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from members import request_ids
    from payments.stripe_api import StripeDown

    def away(checkout: object) -> None:
        raise StripeDown

    monkeypatch.setattr("payments.stripe_api.create_session", away)

    held = hold(line(room))
    posted = {"email": "ana@example.test", "name": "Ana", "request_id": request_ids.issue()}
    response = client.post(f"/hold/{held.token}/pay/", posted)
    assert response.status_code == 503
    kept = FailedAttempt.objects.get()
    assert (kept.what, kept.booking_id) == ("pay", held.booking_id)
    assert (kept.email, kept.quoted_minor) == ("ana@example.test", held.booking.total_minor)


def test_a_bug_is_kept_too(room: Resource, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**asked: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("payments.holding.services.claim", broken)
    with pytest.raises(ZeroDivisionError):
        api.post("/holds", claim(room), key="k")
    kept = FailedAttempt.objects.get()
    assert (kept.status, kept.code) == (500, "internal_error")


def test_the_log_of_an_outage_becomes_rows_once(
    room: Resource,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path,
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as outage, caplog.at_level(logging.ERROR, "surehold.attempts"):
        outage.setattr("members.api_keys.find", gone)
        outage.setattr("payments.attempts.take_in", gone)
        assert api.post("/holds", claim(room), key="k").status_code == 503
    assert not FailedAttempt.objects.exists()

    log = tmp_path / "web.log"
    lines = [f"2026-11-21 09:00:00 ERROR {the_line(caplog)}", "another line"]
    log.write_text("\n".join([*lines, f"{MARK}{{cut off", f"{MARK}{{}}}}", ""]))
    out = StringIO()
    call_command("import_attempts", str(log), stdout=out)
    assert out.getvalue() == "1 new, 0 known before.\n"
    kept = FailedAttempt.objects.get()
    assert kept.is_from_log
    assert kept.workspace == room.workspace
    assert kept.quoted_minor
    out = StringIO()
    call_command("import_attempts", str(log), stdout=out)
    assert out.getvalue() == "0 new, 1 known before.\n"
    assert FailedAttempt.objects.count() == 1


def test_no_secret_is_in_the_log(
    room: Resource, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with locked(room), caplog.at_level(logging.ERROR, "surehold.attempts"):
        api.post("/holds", claim(room), key="the-callers-key")
    said = the_line(caplog)
    assert api.secret not in said
    assert "the-callers-key" not in said
    assert set(json.loads(said.removeprefix(MARK))["asked"]) <= {"lines", "member"}


def test_a_body_that_makes_no_sense_is_kept_without_lines(room: Resource, api: Api) -> None:
    from payments import attempts

    for asked in ({}, {"lines": "x"}, {"lines": [1, {"resource": "x"}]}, {"member": [1]}):
        said = {
            "id": "0198c1de-4a6f-7cc3-9d0e-3f6f0c0f5a11",
            "what": "hold",
            "at": "2030-01-01T00:00:00+00:00",
            "status": 500,
            "code": "internal_error",
            "request_id": "r",
            "address": {"slug": room.workspace.slug},
            "key": "",
            "member": None,
            "visitor": "",
            "asked": asked,
        }
        assert attempts.take_in(said, is_from_log=True) is not None
    kept = FailedAttempt.objects.get()
    assert (kept.lines, kept.quoted_minor, kept.email) == ([], None, "")


def said_of(room: Resource, email: str, **asked: str) -> dict[str, object]:
    """What the log has of somebody's attempt at tomorrow from nine to ten."""
    return {
        "id": str(uuid4()),
        "what": "hold",
        "at": datetime.now(UTC).isoformat(),
        "status": 503,
        "code": "temporarily_unavailable",
        "request_id": "r",
        "key": "",
        "member": None,
        "visitor": "v",
        "address": {"slug": room.workspace.slug, "resource_slug": room.slug},
        "asked": {
            "start": tomorrow(9).isoformat(),
            "end": tomorrow(10).isoformat(),
            "email": email,
        }
        | asked,
    }


def test_nobody_is_quoted_for_what_could_never_be_booked(room: Resource) -> None:
    until = (tomorrow(9) + timedelta(days=900)).isoformat()
    attempts.take_in(said_of(room, "eve@x.test", end=until, quantity="10000"), is_from_log=True)
    kept = FailedAttempt.objects.get()
    assert (kept.quoted_minor, kept.lines) == (None, [])


def test_a_line_that_cannot_be_taken_in_keeps_no_other_out(room: Resource) -> None:
    bad = said_of(room, "eve@x.test") | {"status": "five hundred"}
    lines = [MARK + json.dumps(each) for each in (bad, said_of(room, "ana@x.test"))]
    assert attempts.from_log(lines) == (1, 0)
    assert FailedAttempt.objects.get().email == "ana@x.test"
