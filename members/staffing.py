"""Who works for a workspace."""

from uuid import UUID

from django.db import transaction

from config.kernel import rows
from config.kernel.errors import DomainError
from config.kernel.locks import locked
from members.models import Member, Staff, Workspace
from members.sign_in import link_mail


class LastOwner(DomainError):
    code = "last_owner"
    status = 409
    detail = "A workspace keeps at least one owner. Make somebody else one first."


def lock_owners(workspace_id: UUID) -> list[Staff]:
    """A workspace's owners, locked, so that no two of them go at once."""
    owners = Staff.objects.filter(workspace=workspace_id, role=Staff.Role.OWNER)
    return list(locked(owners))


def keep_an_owner(workspace_id: UUID, *, without: Member) -> None:
    """Raises LastOwner when nobody else owns the workspace. Locks its owners."""
    owners = {staff.member_id for staff in lock_owners(workspace_id)}
    if owners == {without.pk}:
        raise LastOwner


@transaction.atomic
def invite(
    *, workspace: Workspace, email: str, role: str = Staff.Role.CLERK, name: str = ""
) -> Staff:
    """Give somebody a role and mail them a link into the admin.

    Inviting again changes the role and sends another link. Raises LastOwner when that would leave
    the workspace without an owner.
    """
    address = email.strip().lower()
    member = Member.objects.filter(email=address).first() or Member.objects.create_user(
        address, name=name
    )
    if role != Staff.Role.OWNER:
        keep_an_owner(workspace.pk, without=member)
    if not member.is_staff:
        member.is_staff = True
        member.save(update_fields=["is_staff"])
    staff, _ = Staff.objects.update_or_create(
        workspace=workspace, member=member, defaults={"role": role}
    )
    rows.insert([link_mail(member, "invitation", next_url="/admin/", workspace=workspace)])
    return staff
