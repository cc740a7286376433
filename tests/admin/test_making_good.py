"""Making good in the admin: looked at first, then told, and reported."""

import pytest
from django.urls import reverse

from bookings.models import Resource
from config.kernel.clock import now
from payments.models import Apology, Incident
from tests.admin.conftest import SignIn
from tests.money.test_making_good import HOUR, NINE, failed

pytestmark = pytest.mark.django_db
ADD = "admin:payments_incident_add"


def asked(room: Resource, **more: str) -> dict[str, str]:
    """What the form sends for the hour after nine, in the workspace's zone."""
    window = {}
    for name, moment in (("starts_at", NINE), ("ends_at", NINE + HOUR)):
        local = moment.astimezone(_zone(room))
        window |= {f"{name}_0": f"{local:%Y-%m-%d}", f"{name}_1": f"{local:%H:%M:%S}"}
    return (
        {"workspace": str(room.workspace_id), "credit_percent": "10", "words": ""} | window | more
    )


def _zone(room: Resource):  # type: ignore[no-untyped-def]
    from zoneinfo import ZoneInfo

    return ZoneInfo(room.workspace.timezone)


def test_a_manager_looks_first_and_then_tells(as_role: SignIn, room: Resource) -> None:
    failed(room)
    failed(room, email="")
    browser = as_role("manager")
    page = browser.get(reverse(ADD), asked(room)).content.decode()
    assert "ana@example.test" in page
    assert "1 failed attempt" in page
    assert "1 left no address" in page
    assert not Incident.objects.exists()

    response = browser.post(reverse(ADD), asked(room))
    assert response.status_code == 302
    incident = Incident.objects.get()
    assert (incident.workspace, incident.starts_at, incident.people) == (room.workspace, NINE, 1)
    assert incident.created_by
    assert incident.created_at <= now()
    report = browser.get(response["Location"]).content.decode()
    assert "0 of 1" in report
    assert not Apology.objects.exists()  # the worker tells them


def test_a_window_backwards_is_a_form_error(as_role: SignIn, room: Resource) -> None:
    given = asked(room)
    given |= {"ends_at_0": given["starts_at_0"], "ends_at_1": given["starts_at_1"]}
    page = as_role("manager").get(reverse(ADD), given).content.decode()
    assert "The end comes after the start" in page
    assert as_role("manager").post(reverse(ADD), given).status_code == 200
    assert not Incident.objects.exists()


def test_others_do_not(as_role: SignIn, room: Resource) -> None:
    assert as_role("clerk").get(reverse(ADD)).status_code in {302, 403, 404}
    assert as_role("clerk").post(reverse(ADD), asked(room)).status_code in {302, 403, 404}
    page = as_role("manager").get(reverse(ADD), asked(room, workspace="")).content.decode()
    assert "This field is required" in page
    assert not Incident.objects.exists()
