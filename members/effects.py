"""What this app writes when something happens; see `manage.py effects`."""

from config.kernel.effects import Happening, on
from members import webhook_mails
from members.models import Notification
from members.webhook_models import WebhookEndpoint


@on("webhook_endpoint.disabled")
def mail_disabled(happening: Happening) -> list[Notification]:
    """Unless somebody did it by hand."""
    endpoint: WebhookEndpoint = happening.subject
    if endpoint.disabled_because == WebhookEndpoint.Because.BY_HAND:
        return []
    return webhook_mails.disabled(endpoint)
