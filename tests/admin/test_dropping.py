"""Staff cancel a part of a booking: shown line by line, to the cent, with a reason."""

import pytest

from bookings.models import Booking, Resource
from holds.claims import LineRequest
from holds.lock_objects import lock_hold
from holds.services import confirm_unpaid
from payments.models import Refund
from tests.admin.conftest import SignIn
from tests.admin.support import ANA, confirmed, deed, payment
from tests.core.support import hold
from tests.factories import at

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking(room: Resource) -> Booking:
    lines = [LineRequest(room.pk, at(10, days=d), at(11, days=d)) for d in (7, 8)]
    found = confirm_unpaid(lock_hold(hold(*lines).pk), ANA)
    payment(found)
    return found


def test_a_line_is_cancelled_with_all_of_its_money(as_role: SignIn, booking: Booking) -> None:
    client, url = as_role("manager"), deed(booking, "drop")
    page = client.get(url).content.decode()
    assert "NZ$45.00 back by the policy, NZ$0.00 kept" in page
    said = {"lines_": ["1"], "refund": "full", "to": "card", "reason": "The roof leaks"}
    assert client.post(url, said).status_code == 302
    booking.refresh_from_db()
    assert (booking.state, booking.total_minor) == ("confirmed", 4500)
    assert Refund.objects.get().amount_minor == 4500
    assert booking.events.get(kind="lines_cancelled").reason == "The roof leaks"


def test_without_a_reason_or_a_line_nothing_happens(as_role: SignIn, booking: Booking) -> None:
    client, url = as_role("manager"), deed(booking, "drop")
    for said in ({"lines_": ["1"]}, {"reason": "why"}, {"lines_": ["9"], "reason": "why"}):
        answer = client.post(url, {"refund": "full", "to": "card", **said})
        assert answer.status_code == 422
    both = {"lines_": ["0", "1"], "refund": "full", "to": "card", "reason": "all"}
    assert "cancel the booking instead" in client.post(url, both).content.decode()
    assert booking.lines.filter(cancelled_at=None).count() == 2


def test_a_single_line_has_no_such_button(as_role: SignIn, room: Resource) -> None:
    found = confirmed(room)
    page = as_role("manager").get(f"/admin/bookings/booking/{found.pk}/change/")
    assert "Cancel a part…" not in page.content.decode()
