"""Member groups: named by managers, filled by e-mail address."""

import pytest

from bookings.models import Resource
from members.groups import groups_of
from members.models import GroupMembership, Member, MemberGroup
from tests.admin.conftest import SignIn
from tests.admin.support import add

pytestmark = pytest.mark.django_db


def form_of(room: Resource, *emails: str) -> dict[str, str]:
    form = {
        "workspace": str(room.workspace_id),
        "name": "Club members",
        "slug": "club",
        "memberships-TOTAL_FORMS": str(len(emails)),
        "memberships-INITIAL_FORMS": "0",
    }
    return form | {f"memberships-{n}-email": email for n, email in enumerate(emails)}


def test_somebody_new_is_put_into_a_group_by_their_address(as_role: SignIn, room: Resource) -> None:
    assert as_role("manager").post(add(MemberGroup), form_of(room, "Ana@Example.test")).status_code
    group, ana = MemberGroup.objects.get(), Member.objects.get(email="ana@example.test")
    assert groups_of(ana, workspace_id=room.workspace_id) == {group.pk}
    assert groups_of(None, workspace_id=room.workspace_id) == frozenset()


def test_the_same_person_twice_is_told_and_nothing_is_kept(as_role: SignIn, room: Resource) -> None:
    page = as_role("manager").post(add(MemberGroup), form_of(room, "a@x.test", "A@x.test"))
    assert page.status_code == 200
    assert "Somebody is named twice." in page.content.decode()
    assert not MemberGroup.objects.exists()
    assert not GroupMembership.objects.exists()


def test_clerks_do_not_make_groups(as_role: SignIn, room: Resource) -> None:
    assert as_role("clerk").post(add(MemberGroup), form_of(room)).status_code == 403
    assert not MemberGroup.objects.exists()
