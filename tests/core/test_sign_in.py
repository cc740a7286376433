"""Signing in by a link: looking at it signs nobody in, and it works once."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from members import sign_in
from members.models import Member, Notification, Staff
from tests.factories import MemberFactory, StaffFactory

pytestmark = pytest.mark.django_db


def token(link: str) -> str:
    return parse_qs(urlsplit(link).query)["token"][0]


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


@pytest.fixture
def member():
    return MemberFactory(email="ana@example.test")


def test_the_link_is_mailed_whether_the_address_is_known_or_not(member):
    sign_in.send_link(email="ANA@example.test ")
    sign_in.send_link(email="new@example.test")
    assert sorted(Notification.objects.values_list("to", flat=True)) == [
        "ana@example.test",
        "new@example.test",
    ]
    assert Member.objects.count() == 2
    assert not Member.objects.get(email="new@example.test").has_usable_password()


def test_somebody_who_was_locked_out_gets_nothing(member):
    member.is_active = False
    member.save()
    sign_in.send_link(email=member.email)
    assert not Notification.objects.exists()
    assert sign_in.peek(token(sign_in.link_for(member))) is None


def test_peeking_does_not_use_it_up(member):
    link = token(sign_in.link_for(member))
    for _ in range(3):
        assert sign_in.peek(link) == member
    assert sign_in.member_for(link) == member


@pytest.mark.parametrize("broken", ["", "x", "A" * 40, "é", "\0"])
def test_a_broken_link_is_nobodys(broken):
    assert sign_in.peek(broken) is None
    assert sign_in.member_for(broken) is None


def test_a_get_signs_nobody_in_and_the_button_does_once(member):
    """Mail scanners and previews open every link in a mail."""
    link = sign_in.link_for(member, "/my/")
    path = link[link.index("/sign-in/") :]
    scanner, person, thief = Client(), Client(), Client()

    for _ in range(2):
        page = scanner.get(path)
        assert page.status_code == 200
        assert not signed_in(scanner)

    posted = person.post("/sign-in/link/", {"token": token(link), "next": "/my/"})
    assert (posted.status_code, posted["Location"]) == (302, "/my/")
    assert signed_in(person)

    again = thief.post("/sign-in/link/", {"token": token(link)})
    assert again.status_code == 410
    assert not signed_in(thief)
    assert thief.get(path).status_code == 410


def test_a_link_never_leads_away(member):
    assert "next" not in parse_qs(urlsplit(sign_in.link_for(member, "//evil.test/")).query)
    assert "next" not in parse_qs(urlsplit(sign_in.link_for(member, "https://evil.test")).query)
    person = Client()
    answer = person.post(
        "/sign-in/link/", {"token": token(sign_in.link_for(member)), "next": "https://evil.test/"}
    )
    assert answer["Location"] == "/my/"


def test_the_mail_has_the_link_that_works(member):
    sign_in.send_link(email=member.email, next_url="/my/")
    text = Notification.objects.get().payload["text"]
    (link,) = re.findall(r"http\S+", text)
    assert sign_in.peek(token(link)) == member
    assert parse_qs(urlsplit(link).query)["next"] == ["/my/"]


def test_a_first_sign_in_accepts_the_invitations(member):
    staff = StaffFactory(member=member)
    other = StaffFactory()
    link = token(sign_in.link_for(member))
    sign_in.peek(link)
    assert Staff.objects.filter(accepted_at=None).count() == 2
    sign_in.member_for(link)
    staff.refresh_from_db()
    other.refresh_from_db()
    assert staff.accepted_at is not None
    assert other.accepted_at is None
