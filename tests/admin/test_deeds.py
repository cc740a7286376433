"""What staff do to bookings, holds, mail, keys and staff: through services, with a reason."""

import re

import pytest

from bookings.models import Resource
from config.kernel import clock
from members import api_keys
from members.models import ApiKey, Member, Notification, Staff, Workspace
from payments import holding
from payments.errors import PaymentInProgress
from tests.admin.conftest import SignIn
from tests.admin.support import add, change, changelist, confirmed, deed, delete, payment, place
from tests.factories import StaffFactory, make_api_key

pytestmark = pytest.mark.django_db


# --- Holds --------------------------------------------------------------------------------------


def test_the_page_says_what_releasing_does(as_role: SignIn, room: Resource) -> None:
    hold = place(room)
    page = as_role("clerk").get(deed(hold, "release")).content.decode()
    assert "Release the hold of Ana" in page
    assert "is free for others at once" in page
    assert "Release the hold and free the slot" in page
    hold.refresh_from_db()
    assert hold.state == "active"


def test_a_clerk_releases_a_hold_with_a_reason(as_role: SignIn, room: Resource) -> None:
    hold = place(room)
    browser = as_role("clerk")
    response = browser.post(deed(hold, "release"), {"reason": "Water damage"})
    assert response.status_code == 302
    hold.refresh_from_db()
    assert (hold.state, hold.ended_because) == ("released", "Water damage")
    event = hold.booking.events.get(kind="released")
    assert (event.actor_kind, event.reason) == ("staff", "Water damage")
    assert event.actor_label
    place(room)


def test_without_a_reason_nothing_happens(as_role: SignIn, room: Resource) -> None:
    hold = place(room)
    response = as_role("clerk").post(deed(hold, "release"), {"reason": "  "})
    assert response.status_code == 422
    assert b"Reason: This field is required." in response.content
    hold.refresh_from_db()
    assert hold.state == "active"


def test_a_payment_in_progress_keeps_the_hold(
    as_role: SignIn, room: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**kwargs: object) -> None:
        raise PaymentInProgress

    hold = place(room)
    monkeypatch.setattr("payments.admin.let_go", refuse)
    response = as_role("clerk").post(deed(hold, "release"), {"reason": "Sorry"})
    assert response.status_code == 422
    assert b"A payment for this slot is being settled." in response.content


def test_a_confirmed_hold_is_not_released(as_role: SignIn, room: Resource) -> None:
    booking = confirmed(room)
    response = as_role("clerk").post(deed(booking.holds.get(), "release"), {"reason": "Sorry"})
    assert response.status_code == 422
    assert b"cancel it instead" in response.content
    booking.refresh_from_db()
    assert booking.state == "confirmed"


# --- Bookings -----------------------------------------------------------------------------------


def test_cancelling_shows_the_money_and_frees_the_slot(as_role: SignIn, room: Resource) -> None:
    booking = confirmed(room)
    payment(booking)
    browser = as_role("manager")
    page = browser.get(deed(booking, "cancel")).content.decode()
    assert "NZ$45.00 was paid" in page
    assert browser.post(deed(booking, "cancel"), {"reason": "Burst pipe"}).status_code == 302
    booking.refresh_from_db()
    assert booking.state == "cancelled"
    assert booking.events.get(kind="cancelled").reason == "Burst pipe"
    place(room)
    again = browser.post(deed(booking, "complete"), {})
    assert again.status_code == 422
    assert b"cannot become completed" in again.content


def test_completed_and_no_show_turn_into_each_other(as_role: SignIn, room: Resource) -> None:
    booking = confirmed(room)
    browser = as_role("manager")
    for name, state in (
        ("complete", "completed"),
        ("no_show", "no_show"),
        ("complete", "completed"),
    ):
        assert browser.post(deed(booking, name), {}).status_code == 302
        booking.refresh_from_db()
        assert booking.state == state


def test_clerks_do_not_cancel(as_role: SignIn, room: Resource) -> None:
    booking = confirmed(room)
    for name in ("cancel", "complete", "no_show"):
        response = as_role("clerk").post(deed(booking, name), {"reason": "x"})
        assert response.status_code == 403
    booking.refresh_from_db()
    assert booking.state == "confirmed"


def test_only_what_the_state_allows_is_offered(as_role: SignIn, room: Resource) -> None:
    booking, hold = confirmed(room, 10), place(room, 14)
    browser = as_role("manager")
    offered = browser.get(change(booking)).content.decode()
    assert deed(booking, "cancel") in offered
    assert deed(booking, "no_show") in offered
    pending = browser.get(change(hold.booking)).content.decode()
    assert deed(hold.booking, "cancel") not in pending


def test_the_booking_page_tells_the_whole_story(as_role: SignIn, room: Resource) -> None:
    booking = confirmed(room)
    paid = payment(booking)
    page = as_role("clerk").get(change(booking)).content.decode()
    for part in ("held", "pending payment → confirmed", "by Ana", "Paid NZ$45.00", "taken"):
        assert part in page, part
    assert change(paid) in page
    assert change(booking.holds.get()) in page


# --- Mail ---------------------------------------------------------------------------------------


def failed_mail(workspace: Workspace, kind: str = "confirmation") -> Notification:
    mail = Notification.objects.create(
        workspace=workspace,
        kind=kind,
        once=kind,
        to="ana@example.test",
        payload={"subject": "Yours", "text": "the-text", "html": "", "attachments": []},
    )
    mail.state, mail.version, mail.attempts = "failed", 1, 12
    mail.last_error = "550 no such user"
    mail.save()
    return mail


def test_a_failed_mail_is_sent_again(as_role: SignIn, room: Resource) -> None:
    mail = failed_mail(room.workspace)
    browser = as_role("clerk")
    assert "550 no such user" in browser.get(change(mail)).content.decode()
    assert browser.post(deed(mail, "send_again"), {}).status_code == 302
    mail.refresh_from_db()
    assert (mail.state, mail.attempts) == ("pending", 0)
    assert mail.due_at <= clock.now()


def test_links_that_sign_in_are_not_shown(as_role: SignIn, room: Resource) -> None:
    shown = failed_mail(room.workspace)
    hidden = failed_mail(room.workspace, "sign_in")
    browser = as_role("owner")
    assert "the-text" in browser.get(change(shown)).content.decode()
    assert "the-text" not in browser.get(change(hidden)).content.decode()


# --- Keys, staff, workspaces --------------------------------------------------------------------


def test_a_new_keys_secret_is_shown_once(as_role: SignIn, room: Resource) -> None:
    browser = as_role("owner")
    form = {
        "workspace": str(room.workspace_id), "name": "Kiosk", "kind": "secret", "scope": "read",
    }  # fmt: skip
    page = browser.post(add(ApiKey), form)
    assert page.status_code == 200
    secret = re.search(r"sk_[\w-]{20,}", page.content.decode())
    assert secret is not None
    key = ApiKey.objects.get()
    assert (key.name, key.scope) == ("Kiosk", "read")
    assert api_keys.find(secret[0]) == key
    assert "no-store" in page["Cache-Control"]
    for later in (change(key), changelist(ApiKey)):
        assert secret[0] not in browser.get(later).content.decode()


def test_a_keys_requests_a_minute_are_its_owners_to_set(as_role: SignIn, room: Resource) -> None:
    owner = as_role("owner")
    form = {"workspace": str(room.workspace_id), "name": "Kiosk", "kind": "secret", "scope": "read"}
    assert owner.post(add(ApiKey), form | {"requests_per_minute": "60"}).status_code == 200
    key = ApiKey.objects.get()
    assert key.requests_per_minute == 60
    for wrong in ("0", "-1", "many"):
        page = owner.post(change(key), {"name": "Kiosk", "requests_per_minute": wrong})
        assert page.status_code == 200, "the form again, with its error"
    as_role("manager").post(change(key), {"name": "Kiosk", "requests_per_minute": "9"})
    key.refresh_from_db()
    assert key.requests_per_minute == 60
    owner = as_role("owner")
    assert owner.post(change(key), {"name": "Till", "requests_per_minute": ""}).status_code == 302
    key.refresh_from_db()
    assert (key.name, key.requests_per_minute) == ("Till", None)


def test_a_revoked_key_stays_revoked(as_role: SignIn, room: Resource) -> None:
    key, secret = make_api_key(workspace=room.workspace)
    browser = as_role("owner")
    assert browser.post(deed(key, "revoke"), {}).status_code == 302
    assert api_keys.find(secret) is None
    assert deed(key, "revoke") not in browser.get(change(key)).content.decode()
    assert as_role("manager").post(deed(key, "revoke"), {}).status_code == 403


def test_owners_invite_staff_by_mail(as_role: SignIn, room: Resource) -> None:
    form = {
        "workspace": str(room.workspace_id), "email": "New@Example.Test", "name": "New",
        "role": "clerk",
    }  # fmt: skip
    assert as_role("owner").post(add(Staff), form).status_code == 302
    invited = Staff.objects.get(member__email="new@example.test")
    assert (invited.role, invited.member.is_staff) == ("clerk", True)
    mail = Notification.objects.get(kind="invitation")
    assert mail.to == "new@example.test"


def test_the_last_owner_stays_one(as_role: SignIn, room: Resource) -> None:
    browser = as_role("owner")
    owner = Staff.objects.get(workspace=room.workspace)
    page = browser.post(change(owner), {"role": "clerk"})
    assert page.status_code == 200
    assert "keeps at least one owner" in page.content.decode()
    assert browser.get(delete(owner)).status_code == 403
    StaffFactory(workspace=room.workspace)
    assert browser.post(change(owner), {"role": "clerk"}).status_code == 302
    owner.refresh_from_db()
    assert owner.role == "clerk"


def test_the_last_owner_is_not_demoted_by_an_invitation(as_role: SignIn, room: Resource) -> None:
    browser = as_role("owner")
    owner = Staff.objects.get(workspace=room.workspace)
    form = {
        "workspace": str(room.workspace_id), "email": owner.member.email.upper(), "name": "",
        "role": "clerk",
    }  # fmt: skip
    page = browser.post(add(Staff), form)
    assert page.status_code == 200
    assert "keeps at least one owner" in page.content.decode()
    owner.refresh_from_db()
    assert owner.role == "owner"
    assert not Notification.objects.filter(kind="invitation").exists()


def test_a_new_workspace_is_empty_and_its_owner_invited(as_role: SignIn) -> None:
    form = {
        "name": "Harbour Rooms", "slug": "harbour", "timezone": "Pacific/Auckland",
        "currency": "NZD", "owner_email": "olive@example.test", "owner_name": "Olive",
    }  # fmt: skip
    response = as_role("superuser").post(add(Workspace), form)
    assert response.status_code == 302, response.context["adminform"].form.errors
    made = Workspace.objects.get(slug="harbour")
    assert not made.resources.exists()
    owner = made.staff.get()
    assert (owner.role, owner.member.email) == ("owner", "olive@example.test")
    assert Notification.objects.get(workspace=made).kind == "invitation"


def test_a_wrong_workspace_is_a_form_error(as_role: SignIn, room: Resource) -> None:
    form = {
        "name": "x", "slug": room.workspace.slug, "timezone": "Nowhere", "currency": "XXQ",
        "owner_email": "nobody", "owner_name": "",
    }  # fmt: skip
    page = as_role("superuser").post(add(Workspace), form)
    assert page.status_code == 200
    wrong = set(page.context["adminform"].form.errors)
    assert wrong == {"slug", "timezone", "currency", "owner_email"}
    assert not Member.objects.filter(email="nobody").exists()


def test_owners_change_holds_not_money_settings(as_role: SignIn, room: Resource) -> None:
    workspace = room.workspace
    form = {
        "name": "Renamed", "slug": workspace.slug, "tagline": "", "contact_email": "",
        "accent": "", "timezone": workspace.timezone, "currency": "EUR",
        "hold_ttl_seconds": "20", "hold_extension_seconds": "5", "checkout_grace_seconds": "30",
        "max_live_holds_per_member": "3", "max_live_holds_per_visitor": "3",
        "max_live_holds_per_address": "20", "charges": "direct", "stripe_account_id": "acct_1",
        "goodwill_credit_minor": "500", "credit_valid_days": "90",
        "pay_again_seconds": "86400",
        "processing_limit_seconds": "259200", "cancel_free_hours": "48",
        "cancel_partial_hours": "12", "cancel_partial_percent": "50", "cancel_fee_minor": "0",
        "tax_name": "GST", "tax_basis_points": "1500", "waitlist_ttl_seconds": "60",
        "max_waiting_per_member": "10", "series_pay_hours": "48",
    }  # fmt: skip
    response = as_role("owner").post(change(workspace), form)
    assert response.status_code == 302, response.context["adminform"].form.errors
    workspace.refresh_from_db()
    assert (workspace.name, workspace.hold_ttl_seconds) == ("Renamed", 1200)
    assert (workspace.currency, workspace.charges) == ("NZD", "platform")


def test_deeds_are_the_services_own() -> None:
    from payments import admin

    assert admin.let_go is holding.let_go
