"""Making workspaces."""

from django.db import transaction

from members import staffing
from members.models import Staff, Workspace


@transaction.atomic
def create(
    *,
    name: str,
    slug: str,
    timezone: str,
    currency: str,
    owner_email: str,
    owner_name: str = "",
    **settings: object,
) -> Workspace:
    """A real, empty workspace whose first staff member, an owner, is invited by mail.

    Raises django's ValidationError with a message per field.
    """
    workspace = Workspace(
        name=name,
        slug=slug,
        timezone=timezone,
        currency=currency,
        contact_email=owner_email,
        **settings,
    )
    workspace.full_clean()
    workspace.save()
    staffing.invite(workspace=workspace, email=owner_email, name=owner_name, role=Staff.Role.OWNER)
    return workspace
