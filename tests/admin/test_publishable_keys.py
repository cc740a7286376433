"""Keys for web pages in the admin: made with their origins, shown again, revoked."""

from typing import Any

from bookings.models import Resource
from members import api_keys
from members.models import ApiKey
from tests.admin.conftest import SignIn
from tests.admin.support import add, change, changelist, deed
from tests.factories import make_publishable_key


def _form(room: Resource, **said: Any) -> dict[str, Any]:
    made = {"workspace": str(room.workspace_id), "name": "Club", "kind": "publishable"}
    return (
        made | {"scope": "write", "origins": "https://Club.example/, http://localhost:5173"} | said
    )


def test_one_is_made_with_its_origins_and_shown_again(as_role: SignIn, room: Resource) -> None:
    browser = as_role("owner")
    made = browser.post(add(ApiKey), _form(room))
    key = ApiKey.objects.get()
    assert (made.status_code, made["Location"]) == (302, change(key))
    assert key.origins == ["https://club.example", "http://localhost:5173"]
    assert key.shown.startswith("pk_")
    assert api_keys.find(key.shown) == key
    for _ in range(2):
        page = browser.get(change(key)).content.decode()
        assert key.shown in page
        assert "https://club.example, http://localhost:5173" in page
    assert key.shown not in browser.get(changelist(ApiKey)).content.decode()


def test_its_origins_are_changed_and_nothing_else(as_role: SignIn, room: Resource) -> None:
    make_publishable_key(workspace=room.workspace)
    key = ApiKey.objects.get()
    changed = _form(room, origins="https://a.example", kind="secret", scope="read")
    assert as_role("manager").post(change(key), changed).status_code == 403
    assert as_role("owner").post(change(key), changed).status_code == 302
    now = ApiKey.objects.get()
    assert (now.origins, now.kind, now.shown) == (["https://a.example"], "publishable", key.shown)
    assert now.scope == "write"


def test_what_is_no_origin_is_refused(as_role: SignIn, room: Resource) -> None:
    browser = as_role("owner")
    for wrong in [
        {"origins": "*"},
        {"origins": "http://club.example"},
        {"origins": ""},
        {"kind": "secret"},
    ]:
        page = browser.post(add(ApiKey), _form(room, **wrong))
        assert page.status_code == 200
        assert "errorlist" in page.content.decode() or "text-red" in page.content.decode()
    assert not ApiKey.objects.exists()


def test_it_is_revoked_for_good(as_role: SignIn, room: Resource) -> None:
    shown = make_publishable_key(workspace=room.workspace)
    key = ApiKey.objects.get()
    assert as_role("owner").post(deed(key, "revoke"), {}).status_code == 302
    assert api_keys.find(shown) is None
