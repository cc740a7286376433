"""Who works for a workspace."""

from django.db import transaction

from config.kernel import rows
from members.models import Member, Staff, Workspace
from members.sign_in import link_mail


@transaction.atomic
def invite(
    *, workspace: Workspace, email: str, role: str = Staff.Role.CLERK, name: str = ""
) -> Staff:
    """Give somebody a role and mail them a link into the admin.

    Inviting again changes the role and sends another link.
    """
    address = email.strip().lower()
    member = Member.objects.filter(email=address).first() or Member.objects.create_user(
        address, name=name
    )
    if not member.is_staff:
        member.is_staff = True
        member.save(update_fields=["is_staff"])
    staff, _ = Staff.objects.update_or_create(
        workspace=workspace, member=member, defaults={"role": role}
    )
    rows.insert([link_mail(member, "invitation", next_url="/admin/", workspace=workspace)])
    return staff
