"""Signing in by a link in a mail (django-sesame). The link's GET signs nobody in."""

from datetime import timedelta
from urllib.parse import urlencode

import sesame.utils
from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse

from config.kernel import clock, rows
from config.kernel.ids import new_id
from members.mail import notification
from members.models import Member, Notification, Staff, Workspace

_PATIENCE = timedelta(minutes=15)
_LINKS_AT_ONCE = 5


def send_link(*, email: str, next_url: str = "", workspace: Workspace | None = None) -> None:
    """Mail a sign-in link to an address, making the member when there is none.

    Says nothing about whether the address was known. `next_url` is a path of this site.
    """
    member = member_with(email)
    if not member.is_active or _has_had_enough(member):
        return
    rows.insert([link_mail(member, "sign_in", next_url=next_url, workspace=workspace)])


def link_mail(member: Member, kind: str, *, next_url: str = "", workspace: Workspace | None = None):  # type: ignore[no-untyped-def]
    """The unsaved mail that carries a sign-in link; `kind` is its template."""
    return notification(
        kind=kind,
        to=member.email,
        once=f"{kind}:{new_id()}",
        context={"member": member, "link": link_for(member, next_url), "minutes": minutes_valid()},
        workspace=workspace,
        subject=member,
    )


def link_for(member: Member, next_url: str = "") -> str:
    """The absolute address of the page whose button signs this member in, once."""
    query = {"token": sesame.utils.get_token(member)}
    if next_url.startswith("/") and not next_url.startswith("//"):
        query["next"] = next_url
    return f"{settings.SITE_URL}{reverse('members:sign_in_link')}?{urlencode(query)}"


def minutes_valid() -> int:
    return int(settings.SESAME_MAX_AGE.total_seconds() // 60)


def peek(token: str) -> Member | None:
    """Whose link it is, without using it up: what the GET may ask."""
    return _from_token(token)


def member_for(token: str) -> Member | None:
    """Whom a link's POST signs in, or None. Signing in (`login`) is what uses it up.

    A staff member's first sign-in accepts the invitations.
    """
    member = _from_token(token)
    if member is not None:
        Staff.objects.filter(member=member, accepted_at=None).update(accepted_at=clock.now())
    return member


def _has_had_enough(member: Member) -> bool:
    """Nobody floods somebody else's mailbox through our form."""
    lately = clock.now() - _PATIENCE
    sent = Notification.objects.filter(kind="sign_in", subject_id=str(member.pk))
    return sent.filter(created_at__gt=lately).count() >= _LINKS_AT_ONCE


def _from_token(token: str) -> Member | None:
    found = sesame.utils.get_user(token, update_last_login=False)
    return found if isinstance(found, Member) else None


def member_with(email: str) -> Member:
    """The member of an e-mail address, made when there is none."""
    address = email.strip().lower()
    found = Member.objects.filter(email=address).first()
    if found:
        return found
    try:
        with transaction.atomic():
            return Member.objects.create_user(address)
    except IntegrityError:
        return Member.objects.get(email=address)
