"""What the admin's tests share: a room and people with each role in its workspace."""

from collections.abc import Callable

import pytest
from django.test import Client

from bookings.models import Resource
from members.models import Member, Staff
from tests.factories import MemberFactory, StaffFactory, make_room

SignIn = Callable[[str], Client]


@pytest.fixture
def room(db: None) -> Resource:
    return make_room()


@pytest.fixture
def as_role(room: Resource) -> SignIn:
    """`as_role("clerk")` is a browser signed in as one; also manager, owner, superuser."""

    def sign_in(role: str) -> Client:
        browser = Client()
        browser.force_login(
            _member(room, role), backend="django.contrib.auth.backends.ModelBackend"
        )
        return browser

    return sign_in


def _member(room: Resource, role: str) -> Member:
    if role == "superuser":
        return MemberFactory(is_staff=True, is_superuser=True, name="Root")
    staff = StaffFactory(workspace=room.workspace, role=Staff.Role(role))
    return staff.member
