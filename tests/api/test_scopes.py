"""Who may call what, for every operation there is."""

import pytest

from bookings.models import Booking, Resource
from config.api import ApiView
from members.models import ApiKey, IdempotencyKey
from tests.api.client import Api, problem
from tests.api.routes import OPEN, Operation, operations
from tests.factories import make_api_key

pytestmark = pytest.mark.django_db
EVERY = list(operations())
CHANGES = [operation for operation in EVERY if not operation.only_reads]
# What is asked by POST and changes nothing.
READS_BY_POST = {"quotes"}


def call(api: Api, operation: Operation):
    if operation.method == "post":
        return api.post(operation.path(), {})
    return getattr(api, operation.method)(operation.path())


@pytest.mark.parametrize("operation", EVERY, ids=str)
def test_every_operation_wants_a_key(operation: Operation) -> None:
    problem(call(Api(), operation), 401, "unauthenticated")


@pytest.mark.parametrize("operation", EVERY, ids=str)
def test_a_reading_key_gets_past_the_door_only_where_nothing_changes(
    room: Resource, operation: Operation
) -> None:
    """Nothing is there by these ids: whoever gets past the door is told so, or what is missing."""
    _, secret = make_api_key(workspace=room.workspace, scope=ApiKey.Scope.READ)
    answer = call(Api(secret), operation)
    if operation.only_reads:
        assert answer.status_code in {200, 400, 404}
    else:
        problem(answer, 403, "insufficient_scope")
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("operation", CHANGES, ids=str)
def test_a_writing_key_gets_past_the_door(api: Api, operation: Operation) -> None:
    assert call(api, operation).status_code in {400, 404}
    assert not Booking.objects.exists()


def test_only_what_is_named_here_changes_nothing_by_another_method_than_get() -> None:
    by_post = {o.name for o in EVERY if o.method != "get" and o.only_reads}
    assert by_post == READS_BY_POST


def test_every_operation_is_counted_for_its_key_and_reads_json_alike() -> None:
    assert [str(o) for o in EVERY if not issubclass(o.view, ApiView)] == []


def test_only_the_description_is_open() -> None:
    assert {"schema", "docs", "not-found"} == OPEN
    assert len(EVERY) >= 20
    assert {o.name for o in CHANGES} >= {"holds", "hold-confirm", "cancel", "refunds"}
