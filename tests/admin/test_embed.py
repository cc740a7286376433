"""The sites that may show a workspace's calendar, as its owner names them."""

import pytest

from bookings.models import Resource
from members.models import Workspace
from tests.admin.conftest import SignIn

pytestmark = pytest.mark.django_db


def test_origins_are_checked_and_the_snippet_stands_there(room: Resource, as_role: SignIn) -> None:
    workspace, browser = room.workspace, as_role("owner")
    Workspace.objects.update(slug="kauri-house", name="Kauri <House>")
    address = f"/admin/members/workspace/{workspace.pk}/change/"
    page = browser.get(address)
    form = page.context["adminform"].form
    assert "Name a site above" in page.content.decode()
    sent = {name: value for name, value in form.initial.items() if value not in (None, "")}
    sent = {name: value for name, value in sent.items() if name in form.fields}
    sent |= {"hold_ttl_seconds": 15, "hold_extension_seconds": 5, "waitlist_ttl_seconds": 60}
    refused = browser.post(address, sent | {"embed_origins": "https://club.example/"})
    assert "is not the origin of a site" in refused.content.decode()
    assert Workspace.objects.get().embed_origins == []
    wanted = "https://club.example,http://localhost:3000"
    answer = browser.post(address, sent | {"embed_origins": wanted})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assert Workspace.objects.get().embed_origins == wanted.split(",")
    shown = browser.get(address).content.decode()
    assert "&lt;surehold-calendar workspace=&quot;kauri-house&quot;&gt;" in shown
    assert "Kauri &lt;House&gt;: book a time" in shown
