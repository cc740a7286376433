"""Who may not see a resource cannot tell it from one that does not exist."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings.availability import alternatives
from bookings.equivalents import equivalents
from bookings.errors import SlotTaken, UnknownResource
from bookings.models import Line, ResourceGroup
from bookings.visibility import GUEST, OPERATOR, Viewer
from config.kernel import clock
from holds.claims import Claimant, LineRequest
from holds.models import Hold
from members.models import GroupMembership, MemberGroup
from tests.api.client import Api
from tests.core.support import hold, line, tomorrow
from tests.factories import MemberFactory, make_api_key, make_room

pytestmark = pytest.mark.django_db


def of_group(room, *members, ends_at=None):
    """The room is for a group, in which these members are."""
    group = MemberGroup.objects.create(workspace=room.workspace, name="Club", slug="club")
    for member in members:
        GroupMembership.objects.create(group=group, member=member, ends_at=ends_at)
    ResourceGroup.objects.create(resource=room, group=group)
    return room


@pytest.fixture
def club():
    """A room for a group, its twin for members, an open one; and somebody of the group."""
    insider = MemberFactory()
    room = of_group(make_room(name="Club room", visibility="groups"), insider)
    shared = {"workspace": room.workspace, "category": room.category, "location": room.location}
    members = make_room(name="Members room", visibility="members", **shared)
    public = make_room(name="Open room", **shared)
    return room, members, public, insider


def page_claim(room, member=None, start=9):
    return hold(line(room, start, start + 1), claimant=Claimant(member=member, limited=True))


def test_a_claim_of_what_one_may_not_see_is_of_nothing(club):
    room, members, _, insider = club
    outsider = MemberFactory()
    for hidden, who in [(room, None), (room, outsider), (members, None)]:
        with pytest.raises(UnknownResource) as caught:
            page_claim(hidden, who)
        nothing = LineRequest(uuid4(), tomorrow(9), tomorrow(10))
        with pytest.raises(UnknownResource) as unknown:
            hold_of(nothing, hidden.workspace)
        assert caught.value.as_problem() == unknown.value.as_problem()
    assert Hold.objects.count() == 0
    page_claim(members, outsider)
    page_claim(room, insider)


def hold_of(wanted, workspace):
    from django.db import transaction

    from holds import services
    from tests.core.support import SOMEBODY

    with transaction.atomic():
        services.claim(
            workspace=workspace,
            lines=[wanted],
            claimant=Claimant(limited=True),
            actor=SOMEBODY,
        )


def test_that_somebody_has_it_is_not_told_either(club):
    room, _, public, insider = club
    page_claim(room, insider)
    with pytest.raises(UnknownResource):
        page_claim(room)
    with pytest.raises(UnknownResource) as caught:  # beside a line that they may have
        hold(line(public), line(room), claimant=Claimant(limited=True))
    assert caught.value.data["line"] == 1
    with pytest.raises(SlotTaken):
        page_claim(room, insider)


def test_a_membership_that_is_over_opens_nothing():
    once = MemberFactory()
    room = of_group(
        make_room(visibility="groups"), once, ends_at=timezone.now() - timedelta(minutes=1)
    )
    with pytest.raises(UnknownResource):
        page_claim(room, once)


def test_others_are_not_offered_what_they_may_not_see(club):
    room, members, public, insider = club
    held = page_claim(public)
    span = {"resource_id": public.pk, "start": tomorrow(9), "end": tomorrow(10)}

    def offered(viewer):
        found = alternatives(workspace_id=public.workspace_id, viewer=viewer, count=9, **span)
        lines = list(Line.objects.filter(booking=held.booking))
        like = equivalents(
            workspace_id=public.workspace_id, lines=lines, now=clock.now(), viewer=viewer, count=9
        )
        names = {a.resource_id for a in found} | {e.resource_id for e in like}
        return names - {public.pk}

    assert offered(GUEST) == set()
    assert offered(Viewer(MemberFactory())) == {members.pk}
    assert offered(Viewer(insider)) == {members.pk, room.pk}
    assert offered(OPERATOR) == {members.pk, room.pk}


def test_pages_show_each_what_is_theirs(club):
    room, members, public, insider = club
    for member, seen in [
        (None, {public}),
        (MemberFactory(), {public, members}),
        (insider, {public, members, room}),
    ]:
        client = Client()
        if member:
            client.force_login(member)
        home = client.get(f"/w/{room.workspace.slug}/").content.decode()
        for each in (room, members, public):
            status = 200 if each in seen else 404
            page = f"/w/{room.workspace.slug}/{each.slug}/"
            assert client.get(page).status_code == status
            assert client.get(page + "week/", headers={"HX-Request": "true"}).status_code == status
            assert client.get(page + "repeat/").status_code == status
            assert (each.name in home) == (each in seen)
            if status == 404:
                assert client.post(page + "hold/").status_code in {303, 404}
    assert Hold.objects.count() == 0


def test_secret_keys_act_for_the_operator(club):
    room, *_ = club
    _, secret = make_api_key(workspace=room.workspace)
    api = Api(secret)
    assert api.get(f"/resources/{room.pk}").json()["visibility"] == "groups"
    assert {r["id"] for r in api.get("/resources").json()["results"]} >= {str(room.pk)}
    hold(line(room), claimant=Claimant(email="guest@example.test"))


def test_groups_cost_a_question_only_where_they_count(club):
    room, members, public, insider = club

    def questions(member, what):
        with CaptureQueriesContext(connection) as seen:
            page_claim(what, member)
        return [q["sql"] for q in seen.captured_queries if "groupmembership" in q["sql"]]

    assert questions(insider, public) == questions(insider, members) == []
    assert len(questions(insider, room)) == 1


def test_a_group_is_of_the_resources_workspace():
    room, other = make_room(), make_room()
    group = MemberGroup.objects.create(workspace=other.workspace, name="Club", slug="club")
    ResourceGroup.objects.create(resource=room, group=group)
    with pytest.raises(IntegrityError) as caught, connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert caught.value.__cause__.diag.constraint_name == "resource_group_within_workspace"
