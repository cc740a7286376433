"""Units and add-ons on the resource page: what is left, what it comes to, and that it is held."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from bookings import mails
from bookings.links import manage_token
from bookings.models import Booking, Line, Resource
from holds.claims import AddOnRequest, LineRequest
from holds.lock_objects import lock_hold
from holds.models import Hold
from holds.services import confirm_unpaid
from tests.core.support import SOMEBODY, hold, lapse
from tests.factories import LocationFactory, WorkspaceFactory, at, make_add_on, make_pool, make_room
from tests.pages.support import address, at_param, form_to, forms, send, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def bikes() -> Resource:
    """Five bikes at NZ$45 an hour in UTC."""
    workspace = WorkspaceFactory(timezone="UTC")
    place = LocationFactory(workspace=workspace)
    return make_pool(workspace=workspace, location=place, name="Bike", capacity=5)


@pytest.fixture
def helmets(bikes: Resource) -> Resource:
    """Four of them, NZ$3 each, one for each bike at most."""
    return make_add_on(bikes, amount_minor=300).pool


@pytest.fixture
def locks(bikes: Resource) -> Resource:
    pool = make_pool(workspace=bikes.workspace, location=bikes.location, name="Lock", capacity=5)
    return make_add_on(bikes, pool, is_required=True).pool


def look(client: Client, bikes: Resource, **query: Any) -> Any:
    said = {"at": at_param(at(10)), "minutes": "60"}
    return client.get(address(bikes), said | {k.replace("_", "-"): v for k, v in query.items()})


def add(pool: Resource, many: int) -> dict[str, str]:
    return {f"add-{pool.pk}": str(many)}


def taken(bikes: Resource, many: int, *add_ons: tuple[Resource, int]) -> Hold:
    chosen = tuple(AddOnRequest(pool.pk, n) for pool, n in add_ons)
    return hold(LineRequest(bikes.pk, at(10), at(11), many, chosen))


def test_units_and_add_ons_are_priced_and_held(
    client: Client, bikes: Resource, helmets: Resource
) -> None:
    answer = look(client, bikes, quantity="2", **add(helmets, 2))
    words = text(answer)
    assert "Per hour × 2 NZ$90.00 Helmet × 2 NZ$6.00" in words
    assert "1 h × 2 NZ$96.00" in words
    held = send(client, form_to(answer, "/hold/"))
    page = text(client.get(held.url))
    assert "Bike × 2" in page
    assert "with 2 × Helmet" in page
    assert page.count("Where") == 1
    assert Booking.objects.get().total_minor == 9600
    assert sorted(Line.objects.values_list("resource__name", "quantity")) == [
        ("Bike", 2),
        ("Helmet", 2),
    ]


def test_what_is_required_is_chosen_without_asking(
    client: Client, bikes: Resource, locks: Resource
) -> None:
    answer = look(client, bikes, quantity="3")
    assert "With it: 3 × Lock, free" in text(answer)
    assert send(client, form_to(answer, "/hold/")).status_code == 303
    assert Line.objects.get(parent__isnull=False).quantity == 3


def test_fewer_units_take_the_add_ons_down_with_them(
    client: Client, bikes: Resource, helmets: Resource
) -> None:
    assert "Helmet × 1" not in text(look(client, bikes, quantity="1", **add(helmets, 4)))
    assert "NZ$48.00" in text(look(client, bikes, quantity="1", **add(helmets, 4)))


def test_more_than_is_left_is_said_before_any_button(
    client: Client, bikes: Resource, helmets: Resource
) -> None:
    taken(bikes, 3, (helmets, 3))
    answer = look(client, bikes, quantity="2", **add(helmets, 2))
    words = text(answer)
    assert "1 left then" in words
    assert "Only 1 × Helmet left" in words
    assert not [form for form in forms(answer) if form.action.endswith("/hold/")]
    enough = look(client, bikes, quantity="2", **add(helmets, 1))
    assert form_to(enough, "/hold/").fields[f"add-{helmets.pk}"] == "1"


def test_more_units_than_are_left_names_how_many_are(client: Client, bikes: Resource) -> None:
    taken(bikes, 3)
    answer = look(client, bikes, quantity="3")
    assert "Only 2 left then" in text(answer)
    assert not [form for form in forms(answer) if form.action.endswith("/hold/")]


def test_the_grid_says_how_many_are_left_where_some_are_taken(
    client: Client, bikes: Resource
) -> None:
    taken(bikes, 2)
    page = look(client, bikes).content.decode()
    cells = [part.split("</button>")[0] for part in page.split("<button name=at")[1:]]
    assert any("10:00" in c and "3 left" in c for c in cells)
    assert not any("left" in c for c in cells if "12:00" in c)


def test_lost_to_somebody_else_the_nearest_times_have_the_add_ons_too(
    client: Client, bikes: Resource, locks: Resource, helmets: Resource
) -> None:
    form = form_to(look(client, bikes, quantity="2", **add(helmets, 2)), "/hold/")
    taken(bikes, 1, (locks, 1))
    taken(bikes, 3, (locks, 3), (helmets, 3))
    lost = send(client, form)
    assert lost.status_code == 409
    again = form_to(lost, "/hold/")
    assert again.fields | add(helmets, 2) | add(locks, 2) | {"quantity": "2"} == again.fields
    assert "NZ$96.00" in text(lost)
    assert send(client, again).status_code == 303
    mine = Line.objects.filter(quantity=2).values_list("resource__name", flat=True)
    assert sorted(mine) == ["Bike", "Helmet", "Lock"]


def test_the_last_helmets_lost_are_named(
    client: Client, bikes: Resource, helmets: Resource
) -> None:
    form = form_to(look(client, bikes, quantity="2", **add(helmets, 2)), "/hold/")
    taken(bikes, 3, (helmets, 3))
    assert "Only 1 × Helmet left" in text(send(client, form))


def test_a_hold_that_ended_is_held_again_with_its_add_ons(
    client: Client, bikes: Resource, locks: Resource
) -> None:
    held = send(client, form_to(look(client, bikes, quantity="2"), "/hold/"))
    lapse(Hold.objects.get())
    again = form_to(client.get(held.url), "/hold/")
    assert again.fields[f"add-{locks.pk}"] == "2"
    assert send(client, again).status_code == 303


def test_nonsense_about_add_ons_is_left_out(client: Client, bikes: Resource) -> None:
    query = {f"add-{uuid4()}": "2", "add-x": "1", "add-": "", "quantity": "1"}
    form = form_to(look(client, bikes, **query), "/hold/")
    assert not [name for name in form.fields if name.startswith("add-")]
    assert send(client, form, **{"add-nonsense": "1"}).status_code == 303


def test_an_add_on_costs_one_query_more_and_no_offer_none(
    client: Client, bikes: Resource, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with CaptureQueriesContext(
        connection,
    ) as without:
        look(client, bikes)
    make_add_on(bikes)
    with django_assert_num_queries(len(without) + 1):
        look(client, bikes)


def test_a_room_without_offers_asks_for_nothing(client: Client) -> None:
    room = make_room()
    assert 'name="add-' not in client.get(address(room)).content.decode()


def confirmed(client: Client, page: Any) -> Booking:
    send(client, form_to(page, "/hold/"))
    held = Hold.objects.get()
    with transaction.atomic():
        confirm_unpaid(lock_hold(held.pk), SOMEBODY)
    return Booking.objects.get()


def test_a_change_names_the_add_ons_with_their_line(
    client: Client, bikes: Resource, helmets: Resource
) -> None:
    booking = confirmed(client, look(client, bikes, quantity="2", **add(helmets, 2)))
    url = reverse("payments:change", args=[manage_token(booking)])
    assert "with 2 × Helmet" in text(client.get(url))
    later = {"start": at_param(at(10)), "minutes": "120"}
    words = text(client.get(url, later))
    assert words.count("is given back") <= 1
    answer = client.post(url, form_to(client.get(url, later), "/change/").fields)
    page = text(client.get(answer.url))
    assert page.count("10:00–12:00") == 1
    assert "with Helmet" in page


def test_a_mail_names_the_add_ons_with_their_line(
    client: Client, bikes: Resource, helmets: Resource
) -> None:
    booking = confirmed(client, look(client, bikes, quantity="2", **add(helmets, 1)))
    Booking.objects.update(email="ada@example.test")
    booking.refresh_from_db()
    (mail,) = mails.confirmation(booking)
    assert "Bike x 2\nwith 1 × Helmet\n" in mail.payload["text"]
    assert "with 1 × Helmet" in mail.payload["html"]
