"""What the API's tests share: a room, its workspace's key, and the OpenAPI description."""

from typing import Any

import pytest

from bookings.models import Resource
from tests.api.client import Api
from tests.factories import make_api_key, make_room


@pytest.fixture
def room(db: None) -> Resource:
    return make_room()


@pytest.fixture
def api(room: Resource) -> Api:
    """A caller with a key that may write in the room's workspace."""
    _, secret = make_api_key(workspace=room.workspace)
    return Api(secret)


@pytest.fixture(scope="session")
def schema() -> Any:
    """The OpenAPI description, generated once."""
    from drf_spectacular.generators import SchemaGenerator

    return SchemaGenerator().get_schema(request=None, public=True)
