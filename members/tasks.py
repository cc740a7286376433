"""Sending mail: at once by kick, by beat for what the kicks missed."""

from uuid import UUID

from celery import shared_task

from members import mail


@shared_task(name="members.send_notification")
def send_notification(notification_id: str) -> bool:
    """Send one mail; a mail that is sent or being sent already is left alone."""
    return mail.send(UUID(notification_id))


@shared_task(name="members.send_due_mail")
def send_due_mail() -> int:
    """Send what is due, a batch at a time; returns how many went."""
    return sum(mail.send(notification_id) for notification_id in mail.due())
