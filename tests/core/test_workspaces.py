"""A new workspace and its owner, by the service and by the command."""

from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import CommandError

from members import staffing, workspaces
from members.models import Member, Notification, Staff, Workspace
from members.rules import validate_currency

pytestmark = pytest.mark.django_db
GIVEN = {
    "name": "Harbour Rooms",
    "slug": "harbour",
    "timezone": "Pacific/Auckland",
    "currency": "NZD",
    "owner_email": "kim@example.test",
}


def test_a_workspace_with_its_owner():
    workspace = workspaces.create(**GIVEN, owner_name="Kim", hold_ttl_seconds=600)
    staff = Staff.objects.get(workspace=workspace)
    assert (staff.role, staff.accepted_at) == ("owner", None)
    assert (staff.member.email, staff.member.name, staff.member.is_staff) == (
        "kim@example.test", "Kim", True,
    )  # fmt: skip
    assert not staff.member.is_superuser
    assert workspace.hold_ttl_seconds == 600
    assert workspace.resources.count() == 0
    assert Notification.objects.get().to == "kim@example.test"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "nzd"}, "currency"),
        ({"slug": "no spaces"}, "slug"),
        ({"name": ""}, "name"),
        ({"hold_ttl_seconds": 59}, "hold_ttl_seconds"),
        ({"hold_ttl_seconds": 7201}, "hold_ttl_seconds"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_left(wrong, field):
    with pytest.raises(ValidationError) as caught:
        workspaces.create(**{**GIVEN, **wrong})
    assert field in caught.value.message_dict
    assert not Workspace.objects.exists()
    assert not Member.objects.exists()
    assert not Notification.objects.exists()


def test_a_slug_is_had_once():
    workspaces.create(**GIVEN)
    with pytest.raises(ValidationError) as caught:
        workspaces.create(**GIVEN)
    assert "slug" in caught.value.message_dict
    assert Workspace.objects.count() == 1


def test_inviting_again_changes_the_role_and_mails_again():
    workspace = workspaces.create(**GIVEN)
    for role in ("clerk", "manager"):
        staffing.invite(workspace=workspace, email="Bo@example.test", role=role)
    assert [s.role for s in Staff.objects.filter(member__email="bo@example.test")] == ["manager"]
    assert Notification.objects.filter(to="bo@example.test").count() == 2


def command(**changes):
    out = StringIO()
    options = {"slug": "harbour", "owner_email": "kim@example.test", "timezone": "Europe/Berlin"}
    call_command("create_workspace", "Harbour Rooms", **{**options, **changes}, stdout=out)
    return out.getvalue()


def test_the_command_says_where_it_is_and_who_is_mailed():
    said = command(currency="EUR")
    assert "/w/harbour/" in said
    assert "kim@example.test" in said
    assert Workspace.objects.get().timezone == "Europe/Berlin"


@pytest.mark.parametrize(
    "wrong", [{"timezone": "Nowhere"}, {"owner_email": "not an address"}, {"currency": "ZZZ"}]
)
def test_the_command_refuses_in_a_sentence(wrong):
    with pytest.raises(CommandError) as caught:
        command(**wrong)
    assert "Traceback" not in str(caught.value)
    assert len(str(caught.value)) > 10
    assert not Workspace.objects.exists()


@pytest.mark.parametrize("currency", ["ISK", "MGA", "UGX"])
def test_currencies_that_stripe_counts_differently_are_refused(currency: str) -> None:
    """Five krónur are 5 to us and 500 to Stripe: the price would be wrong a hundredfold."""
    with pytest.raises(ValidationError, match="Stripe"):
        validate_currency(currency)
