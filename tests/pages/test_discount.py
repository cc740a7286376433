"""A discount code on the hold page: one field, the price that follows, and what it refuses."""

from typing import Any

import pytest
from django.test import Client

from bookings.models import Booking, Discount, DiscountUse, PriceRule, Resource
from members.models import GroupMembership, MemberGroup, Workspace
from tests.core.support import hold as claimed
from tests.core.support import line
from tests.factories import MemberFactory, at, make_room
from tests.pages.support import choose, form_to, forms, hold, send, text

pytestmark = pytest.mark.django_db


def code(room: Resource, **columns: Any) -> Discount:
    return Discount.objects.create(
        **{"workspace_id": room.workspace_id, "code": "Winter", "percent": 10} | columns
    )


def use(client: Client, page: str, typed: str) -> Any:
    return send(client, form_to(client.get(page), "/discount/"), discount_code=typed)


def test_a_code_reprices_the_hold_and_can_be_taken_off(client: Client) -> None:
    room = make_room()
    code(room)
    page = hold(client, room, at(10))
    answer = use(client, page, " winter ")
    assert (answer.status_code, answer.url) == (303, page)
    words = text(client.get(page))
    assert "Discount Winter" in words
    assert "−NZ$4.50" in words
    assert "Pay NZ$40.50" in words
    assert "Code Winter is used" in words
    assert DiscountUse.objects.count() == 1
    use(client, page, "")
    assert "Pay NZ$45.00" in text(client.get(page))
    assert not DiscountUse.objects.exists()


def test_a_code_that_cannot_be_used_is_said_at_its_field(client: Client) -> None:
    room = make_room()
    code(room, max_uses=0)
    page = hold(client, room, at(10))
    for typed, why in (("nonsense", "There is no such code"), ("winter", "as often as it can be")):
        answer = use(client, page, typed)
        assert answer.status_code == 422
        assert why in text(answer)
        assert 'aria-invalid="true"' in answer.content.decode()
        assert form_to(answer, "/discount/").fields["discount_code"] == typed
    assert Booking.objects.get().total_minor == 4500


def test_the_same_form_twice_uses_the_code_once(client: Client) -> None:
    room = make_room()
    code(room, max_uses=1)
    page = hold(client, room, at(10))
    form = form_to(client.get(page), "/discount/")
    assert [send(client, form, discount_code="winter").status_code for _ in range(3)] == [303] * 3
    assert DiscountUse.objects.count() == 1


def test_where_no_code_exists_nothing_asks_for_one(client: Client) -> None:
    page = client.get(hold(client, make_room(), at(10)))
    assert not [form for form in forms(page) if form.action.endswith("/discount/")]


def test_all_of_it_off_is_booked_at_once(client: Client) -> None:
    room = make_room()
    code(room, percent=100)
    page = hold(client, room, at(10))
    use(client, page, "winter")
    shown = client.get(page)
    assert "Book it, free of charge" in text(shown)
    contact = {"email": "ada@example.test", "name": "Ada"}
    answer = send(client, form_to(shown, "/pay/"), **contact)
    assert answer.status_code == 303
    assert Booking.objects.get().state == "confirmed"


def test_an_address_that_has_used_the_code_up_cannot_pay_with_it(client: Client) -> None:
    room = make_room()
    code(room, max_uses_each=1)
    claimed(line(room), discount_code="winter")
    page = hold(client, room, at(10))
    use(client, page, "winter")
    contact = {"email": "ana@example.test", "name": "Ana"}
    answer = send(client, form_to(client.get(page), "/pay/"), **contact)
    assert answer.status_code == 422
    assert "cannot be used with this e-mail address" in text(answer)


def test_tax_is_shown_within_the_price_or_added_to_it(client: Client) -> None:
    room = make_room()
    Workspace.objects.update(tax_name="GST", tax_basis_points=1500)
    words = text(client.get(hold(client, room, at(10))))
    assert "of which GST 15% NZ$5.87" in words
    Workspace.objects.update(tax_is_added=True)
    picked = text(choose(client, room, at(12)))
    assert "GST 15% NZ$6.75" in picked
    assert "NZ$51.75" in picked
    words = text(client.get(hold(client, room, at(12))))
    assert "GST 15% NZ$6.75" in words
    assert "Pay NZ$51.75" in words


def test_a_signed_in_members_group_has_its_price(client: Client) -> None:
    room = make_room()
    member = MemberFactory()
    group = MemberGroup.objects.create(workspace=room.workspace, name="Club", slug="club")
    GroupMembership.objects.create(group=group, member=member)
    PriceRule.objects.create(
        resource=room, kind="per_hour", amount_minor=3000, priority=1, group=group
    )
    assert "NZ$45.00" in text(choose(client, room, at(10)))
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    assert "NZ$30.00" in text(choose(client, room, at(10)))
    assert "Pay NZ$30.00" in text(client.get(hold(client, room, at(10))))
