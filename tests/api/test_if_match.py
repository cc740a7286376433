"""If-Match on what changes a booking: the version that was read, compared under its lock."""

from typing import Any

import pytest

from bookings.models import Booking, Resource
from config.etags import IfMatch
from config.kernel.errors import InvalidInput
from payments.models import Refund
from tests.admin.support import confirmed, payment
from tests.api.client import Api, line, problem
from tests.core.threads import together
from tests.factories import make_api_key, make_room


class Asking:
    def __init__(self, header: str | None) -> None:
        self.headers = {} if header is None else {"If-Match": header}


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        (None, None),
        ("*", None),
        (" * ", None),
        ('"3"', 3),
        (' "3" ', 3),
        ('"1", "3"', 3),
        ('"1",\t"3",,"7"', 3),
        (',"3",', 3),
        ('"4"', -1),
        ('W/"3"', -1),  # strong comparison: a weak tag matches nothing
        ('W/"3", "3"', 3),
        ('"03"', -1),
        ('""', -1),
        ('"of another system"'.replace(" ", "-"), -1),
        ('"999999999999999999999"', -1),
        ('"x,\\"', -1),
    ],
)
def test_which_version_is_meant(header: str | None, meant: int | None) -> None:
    assert IfMatch.of(Asking(header)).expected(3) == meant  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "header", ["", "3", "'3'", '"3', '3"', '"1" "3"', '*, "3"', 'w/"3"', '"a b"', '"3",' * 500]
)
def test_what_is_no_entity_tag(header: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        IfMatch.of(Asking(header))  # type: ignore[arg-type]
    assert caught.value.field == "If-Match"


@pytest.fixture
def booking(room: Resource) -> Booking:
    """A booking a week from now, paid NZ$45."""
    found = confirmed(room)
    payment(found)
    return Booking.objects.get(pk=found.pk)


def deeds(room: Resource) -> dict[str, Any]:
    """What changes a booking, and a body for each."""
    return {
        "cancel": {},
        "reschedule": {"lines": [line(room, 15) | {"line": 0}]},
        "refunds": {"amount_minor": 1000, "to": "card", "reason": "Cold room"},
    }


@pytest.mark.django_db
@pytest.mark.parametrize("deed", ["cancel", "reschedule", "refunds"])
def test_only_the_version_that_is_there(
    api: Api, room: Resource, booking: Booking, deed: str
) -> None:
    body, path = deeds(room)[deed], f"/bookings/{booking.pk}/{deed}"
    before = api.get(f"/bookings/{booking.pk}").json()
    for stale in (f'"{booking.version + 1}"', f'W/"{booking.version}"', '"other"'):
        problem(api.post(path, body, match=stale), 412, "version_mismatch")
        if deed != "refunds":
            preview = api.post(f"{path}?preview=true", body, match=stale)
            problem(preview, 412, "version_mismatch")
    refused = problem(api.post(path, body, match="3"), 400, "invalid")
    assert list(refused["errors"]) == ["If-Match"]
    assert api.get(f"/bookings/{booking.pk}").json() == before
    assert not Refund.objects.exists()
    now = api.get(f"/bookings/{booking.pk}")["ETag"]
    answer = api.post(path, body, key="k", match=f'"99", {now}')
    assert answer.status_code < 300, answer.content
    again = api.post(path, body, key="k", match=f'{now}, "99"')
    assert again["Idempotent-Replayed"] == "true", "the same tags in another order"
    problem(api.post(path, body, key="k", match=now), 422, "idempotency_key_reused")


@pytest.mark.django_db
def test_who_cancels_with_an_old_version_is_told_so(api: Api, booking: Booking) -> None:
    path, read = f"/bookings/{booking.pk}/cancel", f'"{booking.version}"'
    cancelled = api.post(path, {"refund": "none"}, match=read)
    assert cancelled["ETag"] == f'"{booking.version + 1}"'
    problem(api.post(path, {"refund": "full"}, match=read), 412, "version_mismatch")
    assert not Refund.objects.exists()


def race(match: str | None) -> list[int]:
    """Two callers who have read the same version: one cancels it for nothing, one gives it back."""
    room = make_room()
    booking = confirmed(room)
    payment(booking)
    version = Booking.objects.get(pk=booking.pk).version
    _, secret = make_api_key(workspace=room.workspace)
    sent = None if match is None else match.format(version)
    path = f"/bookings/{booking.pk}/cancel"
    answers = together(
        [
            lambda: Api(secret).post(path, {"refund": "none"}, match=sent),
            lambda: Api(secret).post(path, {"refund": "full"}, match=sent),
        ]
    )
    statuses = [answer.status_code for answer in answers]  # type: ignore[union-attr]
    given = sum(Refund.objects.values_list("amount_minor", flat=True))
    if match is not None:
        assert given == (4500 if statuses[1] == 200 else 0), "what the winner said has happened"
    return sorted(statuses)


@pytest.mark.django_db(transaction=True)
def test_of_two_with_the_same_tag_one_wins() -> None:
    assert race('"{}"') == [200, 412]


@pytest.mark.django_db(transaction=True)
def test_control_without_the_tag_both_believe_that_they_did_it() -> None:
    assert race(None) == [200, 200]
