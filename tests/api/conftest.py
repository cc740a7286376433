"""What the API's tests share: a room, its workspace's key, and the OpenAPI description."""

from typing import Any

import pytest

from bookings.models import Booking, Resource
from tests.admin.support import confirmed, payment, place
from tests.api.client import Api
from tests.factories import MemberFactory, make_api_key, make_room


@pytest.fixture
def room(db: None) -> Resource:
    return make_room()


@pytest.fixture
def api(room: Resource) -> Api:
    """A caller with a key that may write in the room's workspace."""
    _, secret = make_api_key(workspace=room.workspace)
    return Api(secret)


@pytest.fixture
def ids(room: Resource) -> dict[str, Any]:
    """What the addresses name: a live hold, a paid booking, its member."""
    booking = confirmed(room)
    payment(booking)
    member = MemberFactory(email="ana@example.test")
    Booking.objects.filter(pk=booking.pk).update(member=member)
    held = place(room, 12)
    return {
        "booking_id": booking.pk,
        "hold_id": held.pk,
        "member_id": member.pk,
        "resource_id": room.pk,
    }


@pytest.fixture(scope="session")
def schema() -> Any:
    """The OpenAPI description, generated once."""
    from drf_spectacular.generators import SchemaGenerator

    return SchemaGenerator().get_schema(request=None, public=True)
