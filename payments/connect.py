"""A workspace's own Stripe account: made, onboarded by a link, and followed (design.md §6).

What Stripe says of it stands on the Workspace row. An event is a hint that the row is stale; it is
fetched anew outside of any transaction, and swept when the hint was missed.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from djstripe.models import Account

from config.kernel import clock, effects
from members.models import Workspace
from payments import findings, stripe_api
from payments.errors import ChargesNotEnabled
from payments.models import Finding

TASK = "payments.look_at_account"
DEAUTHORISED = "The account does not let us act for it any more"

_RETRY_AFTER = timedelta(minutes=1)
_LOOKED_AT_DAILY = timedelta(days=1)


def refuse_unless_charging(workspace: Workspace, amount_minor: int) -> None:
    """Raise ChargesNotEnabled (409) when money is asked for that the account could not take."""
    if amount_minor and not workspace.takes_payments:
        raise ChargesNotEnabled(f"{workspace.name} cannot take payments yet. Nothing was charged.")


def onboarding_link(*, workspace_id: UUID, return_url: str, refresh_url: str) -> str:
    """The address at Stripe where the account's owner answers its questions; used once, in minutes.

    Makes the account when there is none, or when the one there was has cut us off. Whoever asks
    at the same time gets a link to the same account. Raises TemporarilyUnavailable.
    """
    workspace = Workspace.objects.get(pk=workspace_id)
    known = workspace.stripe_account_id
    account = stripe_api.fetch_account(known) if known else None
    if account is None:
        account = stripe_api.create_account(workspace)
        mine = Workspace.objects.filter(pk=workspace.pk, stripe_account_id=known)
        mine.update(stripe_account_id=account.id, stripe_seen_at=None, **_columns(None))
    look(workspace.pk)
    return stripe_api.account_link(account.id, return_url=return_url, refresh_url=refresh_url)


def look(workspace_id: UUID) -> bool:
    """Ask Stripe how the account stands and write it down; whether it can charge.

    Of two answers the one that was asked for later counts. Raises TemporarilyUnavailable; it is
    looked at again then.
    """
    asked_at = clock.now()
    again_at = asked_at + _RETRY_AFTER
    found = Workspace.objects.filter(pk=workspace_id).exclude(stripe_account_id="")
    found.update(stripe_next_look_at=again_at)
    workspace = found.first()
    if workspace is None:
        return False
    _let_webhooks_know(workspace.stripe_account_id)
    account = stripe_api.fetch_account(workspace.stripe_account_id)
    same = found.filter(stripe_account_id=workspace.stripe_account_id)
    earlier = Q(stripe_seen_at=None) | Q(stripe_seen_at__lt=asked_at)
    same.filter(earlier).update(stripe_seen_at=asked_at, **_columns(account))
    # A hint that came meanwhile set another time, and stays.
    same.filter(stripe_next_look_at=again_at).update(stripe_next_look_at=None)
    return account is not None and account.charges_enabled


def take_account_hint(account_id: str) -> int:
    """Something happened to an account: its workspaces are looked at. How many there are.

    Runs in the webhook's transaction and only writes.
    """
    stale = list(
        Workspace.objects.filter(stripe_account_id=account_id).values_list("pk", flat=True)
    )
    Workspace.objects.filter(pk__in=stale).update(stripe_next_look_at=clock.now())
    for workspace_id in stale:
        effects.kick(TASK, str(workspace_id))
    return len(stale)


def due_for_a_look(*, limit: int = 100) -> list[UUID]:
    """Workspaces of which a hint came, that nobody has looked at, or not for a day."""
    now = clock.now()
    never_asked = Q(stripe_next_look_at=None) & (
        Q(stripe_seen_at=None) | Q(stripe_seen_at__lte=now - _LOOKED_AT_DAILY)
    )
    waiting: QuerySet[Workspace] = Workspace.objects.exclude(stripe_account_id="").filter(
        never_asked | Q(stripe_next_look_at__lte=now)
    )
    return list(waiting.order_by("stripe_next_look_at").values_list("pk", flat=True)[:limit])


def is_of_other_mode(event: dict[str, Any]) -> bool:
    """Whether a test event reached live endpoints, or the other way round: counted, and ignored."""
    if bool(event["livemode"]) == settings.STRIPE_LIVE_MODE:
        return False
    account: str = event.get("account") or "platform"
    mode, ours = ("live", "test") if event["livemode"] else ("test", "live")
    findings.file(
        kind="livemode_mismatch",
        severity=Finding.Severity.LOW,
        subject_type="account",
        subject_id=account,
        summary=f"A {mode} event of {account} reached our {ours} endpoint",
        workspace=Workspace.objects.filter(stripe_account_id=account).first(),
        evidence={"first_event": event["id"], "type": event["type"]},
        done="It was ignored.",
    )
    return True


def _let_webhooks_know(account_id: str) -> None:
    """Keep dj-stripe's row of a connected account.

    Without it dj-stripe fetches the account inside the transaction of its first event, and answers
    500 to the event which says that we may not fetch it any more.
    """
    Account.objects.get_or_create(
        id=account_id,
        defaults={
            "livemode": settings.STRIPE_LIVE_MODE,
            "stripe_data": {"id": account_id, "object": "account"},
        },
    )


def _columns(account: stripe_api.Account | None) -> dict[str, Any]:
    if account is None:
        return {
            "stripe_charges_enabled": False,
            "stripe_details_submitted": False,
            "stripe_disabled_because": DEAUTHORISED,
        }
    wanted = ", ".join(account.missing)
    because = [account.disabled_because] if account.disabled_because else []
    because += [f"missing: {wanted}"] if wanted else []
    return {
        "stripe_charges_enabled": account.charges_enabled,
        "stripe_details_submitted": account.details_submitted,
        "stripe_disabled_because": "; ".join(because)[:200],
    }


def said_status(workspace: Workspace, seen: str) -> str:
    """How the account stands, for staff; `seen` is when that was, in their words."""
    if not workspace.stripe_account_id:
        return "No account yet"
    if workspace.stripe_seen_at is None:
        return "Not looked at yet"
    can = "can take payments" if workspace.stripe_charges_enabled else "cannot take payments"
    details = "answered" if workspace.stripe_details_submitted else "not all answered"
    missing = f" ({workspace.stripe_disabled_because})" if workspace.stripe_disabled_because else ""
    return f"It {can}; Stripe's questions are {details}{missing}. Seen {seen}."
