"""Sending mail and webhooks: at once by kick, by beat for what the kicks missed."""

from uuid import UUID

from celery import shared_task

from config.kernel.redis import ask
from members import mail, purging, webhook_sending

_SWEEP_SECONDS = 10


@shared_task(name="members.send_notification")
def send_notification(notification_id: str) -> bool:
    """Send one mail; a mail that is sent or being sent already is left alone."""
    return mail.send(UUID(notification_id))


@shared_task(name="members.send_due_mail")
def send_due_mail() -> int:
    """Send what is due, a batch at a time; returns how many went."""
    return sum(mail.send(notification_id) for notification_id in mail.due())


@shared_task(name="members.send_webhooks")
def send_webhooks(endpoint_id: str) -> int:
    """Tell one subscriber what it has due; on a queue of its own, since they may be slow."""
    endpoint = UUID(endpoint_id)
    ask(
        lambda client: client.delete(_note(endpoint)), 0
    )  # what is written from here on it may miss
    made = webhook_sending.work_through(endpoint)
    if made and endpoint in webhook_sending.due_endpoints():
        _begin([endpoint])
    return made


@shared_task(name="members.send_webhooks_of")
def send_webhooks_of(workspace_id: str) -> int:
    """Begin with every subscriber of a workspace that has something due; returns how many."""
    return _begin(webhook_sending.due_endpoints(UUID(workspace_id)))


@shared_task(name="members.send_due_webhooks")
def send_due_webhooks() -> int:
    """The same for all workspaces: what the kicks missed, and what is tried again."""
    return _begin(webhook_sending.due_endpoints())


@shared_task(name="members.purge_webhooks")
def purge_webhooks() -> int:
    """Forget what subscribers were told long ago; returns how many messages."""
    return purging.webhook_messages()


def _begin(endpoints: list[UUID]) -> int:
    """A task for each that has none waiting; the next sweep begins with those whose task could not
    start in time. A crowd's bookings thus add no more tasks to a queue than there are endpoints.
    """
    found = [each for each in endpoints if _is_first(each)]
    for endpoint_id in found:
        send_webhooks.apply_async((str(endpoint_id),), retry=False, expires=_SWEEP_SECONDS)
    return len(found)


def _is_first(endpoint_id: UUID) -> bool:
    """Without Redis everybody is; the note ends before its task does, for one that was lost."""
    ends = _SWEEP_SECONDS - 1
    return ask(lambda client: bool(client.set(_note(endpoint_id), 1, nx=True, ex=ends)), True)


def _note(endpoint_id: UUID) -> str:
    return f"webhooks:waits:{endpoint_id}"
