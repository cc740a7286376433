"""Who is told that a subscriber is told nothing more."""

from django.conf import settings
from django.urls import reverse

from members import mail
from members.models import Notification, Staff, Workspace
from members.webhook_models import RETRY_HOURS, WebhookEndpoint


def disabled(endpoint: WebhookEndpoint) -> list[Notification]:
    """To the workspace's contact address and to its owners, each address once."""
    workspace = endpoint.workspace
    page = reverse("admin:members_webhookendpoint_change", args=[endpoint.pk])
    context = {
        "url": endpoint.url,
        "is_gone": endpoint.disabled_because == WebhookEndpoint.Because.GONE,
        "days": RETRY_HOURS // 24,
        "link": f"{settings.SITE_URL}{page}",
    }
    return [
        mail.notification(
            kind="webhook_disabled",
            to=address,
            once=f"webhook-disabled:{endpoint.pk}:{endpoint.version}:{number}",
            context=context,
            workspace=workspace,
            subject=endpoint,
        )
        for number, address in enumerate(_addresses(workspace))
    ]


def _addresses(workspace: Workspace) -> list[str]:
    owners = Staff.objects.filter(
        workspace=workspace, role=Staff.Role.OWNER, member__is_active=True
    )
    found = [workspace.contact_email, *owners.values_list("member__email", flat=True)]
    return sorted({address.strip().lower() for address in found if address})
