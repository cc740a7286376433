"""Signing in by a link whose GET signs nobody in."""

import re

import pytest
from django.test import Client

from members.models import Member, Notification
from tests.factories import MemberFactory
from tests.pages.support import form_to, send, text

pytestmark = pytest.mark.django_db


def ask(client: Client, email: str = "ada@example.test", **query: str) -> str:
    """Ask for a link; the path in the mail."""
    answer = send(client, form_to(client.get("/sign-in/", query), "/sign-in/"), email=email)
    assert answer.headers["Location"] == "/sign-in/sent/"
    mail = Notification.objects.filter(to=email.lower()).latest("created_at")
    found = re.search(r"http://[^/]+(/sign-in/link/\S+)", mail.payload["text"])
    assert found
    return found[1]


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_a_link_signs_in_by_its_button_only(client: Client, another: Client) -> None:
    MemberFactory(email="ada@example.test")
    link = ask(client)
    for _ in range(3):  # a mail scanner
        page = another.get(link)
        assert page.status_code == 200
        assert another.head(link).status_code == 200
    assert not is_signed_in(another)
    page = client.get(link)
    assert "ada@example.test" in text(page)
    assert not is_signed_in(client)
    answer = send(client, form_to(page, "/sign-in/link/"))
    assert answer.headers["Location"] == "/my/"
    assert is_signed_in(client)


def test_a_double_click_ends_at_the_same_place(client: Client) -> None:
    form = form_to(client.get(ask(client)), "/sign-in/link/")
    page = client.get("/sign-in/")
    first, second = send(client, form), None
    form.fields["csrfmiddlewaretoken"] = client.cookies["csrftoken"].value
    second = send(client, form)
    assert first.headers["Location"] == second.headers["Location"] == "/my/"
    assert page.status_code == 200


def test_a_link_works_once(client: Client, another: Client) -> None:
    link = ask(client)
    send(client, form_to(client.get(link), "/sign-in/link/"))
    page = another.get(link)
    assert page.status_code == 410
    assert "This link no longer works" in text(page)
    assert not is_signed_in(another)


def test_a_made_up_link_signs_nobody_in(client: Client) -> None:
    assert client.get("/sign-in/link/?token=made-up").status_code == 410
    client.get("/sign-in/")
    token = client.cookies["csrftoken"].value
    answer = client.post("/sign-in/link/", {"token": "x", "csrfmiddlewaretoken": token})
    assert answer.status_code == 410
    assert not is_signed_in(client)


def test_asking_never_tells_who_is_known(client: Client, another: Client) -> None:
    MemberFactory(email="known@example.test")
    for browser, email in ((client, "known@example.test"), (another, "new@example.test")):
        ask(browser, email)
        words = text(browser.get("/sign-in/sent/"))
        assert "Check your mail" in words
        assert email in words
        assert "bookings@localhost" in words
        assert "Try again" in words
    assert Member.objects.count() == 2


def test_a_double_submit_sends_one_mail(client: Client) -> None:
    form = form_to(client.get("/sign-in/"), "/sign-in/")
    for _ in range(3):
        send(client, form, email="ada@example.test")
    assert Notification.objects.count() == 1


@pytest.mark.parametrize("email", ["", "nonsense", "a@b", "x" * 300 + "@example.test"])
def test_an_address_that_is_none_is_told_on_top_and_at_the_field(
    client: Client, email: str
) -> None:
    page = send(client, form_to(client.get("/sign-in/"), "/sign-in/"), email=email)
    assert page.status_code == 422
    assert '<a href="#id_email">' in page.content.decode()
    assert 'aria-invalid="true"' in page.content.decode()
    assert not Notification.objects.exists()


def test_it_leads_on_to_where_one_was_going(client: Client) -> None:
    link = ask(client, next="/w/somewhere/")
    assert send(client, form_to(client.get(link), "/sign-in/link/")).headers["Location"] == (
        "/w/somewhere/"
    )


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test/", "javascript:alert(1)"])
def test_it_never_leads_off_the_site(client: Client, elsewhere: str) -> None:
    link = ask(client, next=elsewhere)
    assert "evil" not in link
    page = client.get(f"{link}&next={elsewhere}")
    answer = send(client, form_to(page, "/sign-in/link/"))
    assert answer.headers["Location"] == "/my/"


def test_signing_out(client: Client) -> None:
    send(client, form_to(client.get(ask(client)), "/sign-in/link/"))
    page = client.get("/my/")
    assert "Signed in as ada@example.test" in text(page)
    send(client, form_to(page, "/sign-out/"))
    assert not is_signed_in(client)


def test_a_long_address_is_mailed_like_any_other(client: Client) -> None:
    domain = ".".join(["d" * 60] * 3) + ".test"
    email = f"{'a' * 39}@{domain}"
    assert len(email) == 227
    ask(client, email)
    ask(client, email)
