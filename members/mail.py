"""Mail: a row first, sent by a worker, retried by beat (design.md §2, "Effects")."""

import base64
import logging
from datetime import timedelta
from email.utils import formataddr, parseaddr
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F, Q
from django.template.loader import render_to_string

from config.kernel import clock
from members.models import Notification, Workspace

log = logging.getLogger(__name__)

_LEASE = timedelta(seconds=60)
_MAX_ATTEMPTS = 12


def notification(
    *,
    kind: str,
    to: str,
    once: str,
    context: dict[str, Any],
    workspace: Workspace | None,
    subject: Any = None,
    attachments: list[tuple[str, str, bytes]] | None = None,
    alternatives: list[tuple[str, str]] | None = None,
) -> Notification:
    """An unsaved mail, rendered from `templates/mail/<kind>.{subject.txt,txt,html}`.

    `once` is unique: two effects for the same thing are one mail. `subject` is the row it is about;
    `attachments` are (file name, content type, content); `alternatives` (content type, text) stand
    beside text and HTML as another form of the same, as an invitation does.
    """
    context = {"workspace": workspace, **context}
    title = render_to_string(f"mail/{kind}.subject.txt", context).strip()
    payload = {
        "subject": " ".join(title.split()),
        "text": render_to_string(f"mail/{kind}.txt", context).strip() + "\n",
        "html": render_to_string(f"mail/{kind}.html", {**context, "title": title}),
        "reply_to": workspace.contact_email if workspace else "",
        "from_name": workspace.name if workspace else "Surehold",
        "attachments": [
            {"name": name, "type": mime, "content": base64.b64encode(content).decode()}
            for name, mime, content in attachments or []
        ],
        "alternatives": [{"type": mime, "text": text} for mime, text in alternatives or []],
    }
    return Notification(
        workspace=workspace,
        kind=kind,
        to=to,
        once=once,
        payload=payload,
        subject_type=subject._meta.model_name if subject else "",
        subject_id=str(subject.pk) if subject else "",
    )


def send(notification_id: UUID) -> bool:
    """Send one mail if it is due and nobody else is sending it; say whether it went.

    The lease is taken in one transaction, the mail sent outside of any, the outcome written in
    another. A crash in between sends it again: twice is better than never.
    """
    mail = _lease(notification_id)
    if mail is None:
        return False
    try:
        _message(mail).send()
    except Exception as error:
        _failed(mail, error)
        return False
    Notification.objects.filter(pk=mail.pk, state="pending").update(
        state="sent", version=F("version") + 1, sent_at=clock.now(), last_error=""
    )
    return True


def due(*, limit: int = 100) -> list[UUID]:
    """Mails that nobody is sending and whose time has come: what the kicks missed."""
    now = clock.now()
    waiting = Notification.objects.filter(
        Q(leased_until=None) | Q(leased_until__lte=now), state="pending", due_at__lte=now
    )
    return list(waiting.order_by("due_at").values_list("pk", flat=True)[:limit])


def retry(mail: Notification) -> None:
    """Put a mail that failed for good back into the queue."""
    Notification.objects.filter(pk=mail.pk, state="failed").update(
        state="pending", version=F("version") + 1, attempts=0, due_at=clock.now()
    )


def _lease(notification_id: UUID) -> Notification | None:
    with transaction.atomic():
        now = clock.now()
        mail = (
            Notification.objects.select_for_update(no_key=True, skip_locked=True)
            .filter(Q(leased_until=None) | Q(leased_until__lte=now))
            .filter(pk=notification_id, state="pending")
            .first()
        )
        if mail is None:
            return None
        mail.leased_until = now + _LEASE
        mail.attempts += 1
        mail.save(update_fields=["leased_until", "attempts"])
        return mail


def _failed(mail: Notification, error: Exception) -> None:
    log.warning("mail %s was not sent: %s", mail.pk, error)
    changes: dict[str, Any] = {
        "leased_until": None,
        "last_error": f"{type(error).__name__}: {error}"[:2000],
        "due_at": clock.now() + timedelta(seconds=min(3600, 10 * 2**mail.attempts)),
    }
    if mail.attempts >= _MAX_ATTEMPTS:
        changes |= {"state": "failed", "version": F("version") + 1}
    Notification.objects.filter(pk=mail.pk, state="pending").update(**changes)


def _sender(name: str) -> str:
    """The workspace's name before the installation's own address."""
    own_name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return formataddr((name or own_name, address))


def _message(mail: Notification) -> EmailMultiAlternatives:
    payload = mail.payload
    message = EmailMultiAlternatives(
        subject=payload["subject"],
        body=payload["text"],
        from_email=_sender(payload.get("from_name", "")),
        to=[mail.to],
        reply_to=[payload["reply_to"]] if payload.get("reply_to") else None,
        headers={"Message-ID": f"<{mail.pk}@surehold>", "Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(payload["html"], "text/html")
    for part in payload.get("alternatives", []):
        message.attach_alternative(part["text"], part["type"])
    for part in payload["attachments"]:
        message.attach(part["name"], base64.b64decode(part["content"]), part["type"])
    return message
