"""Telling each who was hit, once: an apology, a link to book again, and credit where it is given.

Previewed first; begun as a row; carried out person by person by a task or the command, so that a
crash in between goes on where it stopped.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from config.kernel import clock, effects, rows
from config.kernel.context import SYSTEM, Actor
from config.kernel.errors import InvalidInput
from config.kernel.money import Money, round_half_up
from members.models import Workspace
from members.people import member_of_address
from payments.credits import enter, goodwill_expires_at, lock_account
from payments.making_good import hits, mails
from payments.making_good.hits import Hit
from payments.models import Apology, CreditEntry, Incident

log = logging.getLogger(__name__)

TASK = "payments.make_good"
_RETRY_AFTER = timedelta(minutes=2)
_LONGEST = timedelta(days=31)


@dataclass(frozen=True)
class Preview:
    """What making good would do: who is told, who cannot be, who has been served, what it costs."""

    told: list[Hit]
    nameless: list[Hit]
    served: list[Hit]
    credit: dict[str, int]
    workspaces: int
    workspaces_in_all: int

    @property
    def credit_said(self) -> str:
        """The credit in words, a sum per currency."""
        return ", ".join(str(Money(minor, of)) for of, minor in sorted(self.credit.items()))


def preview(
    *,
    starts_at: datetime,
    ends_at: datetime,
    workspace: Workspace | None,
    credit_percent: int = 0,
    credit_minor: int = 0,
) -> Preview:
    """Look, and change nothing. Raises InvalidInput naming the field that makes no sense."""
    check(starts_at, ends_at, workspace, credit_percent, credit_minor)
    found = hits.find(starts_at=starts_at, ends_at=ends_at, workspace=workspace)
    told = hits.to_be_told(found)
    credit: dict[str, int] = {}
    for hit in told:
        minor = _credit(hit, credit_percent, credit_minor)
        if minor:
            credit[hit.workspace.currency] = credit.get(hit.workspace.currency, 0) + minor
    return Preview(
        told=told,
        nameless=[hit for hit in found if not hit.email],
        served=[hit for hit in found if hit.email and hit.is_served],
        credit=credit,
        workspaces=len({hit.workspace.pk for hit in found}),
        workspaces_in_all=1 if workspace else Workspace.objects.count(),
    )


def check(
    starts_at: datetime,
    ends_at: datetime,
    workspace: Workspace | None,
    credit_percent: int,
    credit_minor: int,
) -> None:
    """Refuse a window or a credit that makes no sense, naming the field."""
    if not timedelta(0) < ends_at - starts_at <= _LONGEST:
        raise InvalidInput("The end comes after the start, within 31 days.", field="ends_at")
    if not 0 <= credit_percent <= 100:
        raise InvalidInput("From 0 to 100 per cent.", field="credit_percent")
    if credit_minor < 0 or (credit_minor and credit_percent):
        raise InvalidInput("Give a share or an amount, not both.", field="credit_minor")
    if credit_minor and workspace is None:
        raise InvalidInput(
            "An amount has a currency: choose one workspace, or give a share.",
            field="credit_minor",
        )


def begin(
    *,
    starts_at: datetime,
    ends_at: datetime,
    workspace: Workspace | None,
    actor: Actor,
    words: str = "",
    credit_percent: int = 0,
    credit_minor: int = 0,
) -> Incident:
    """The incident of this window, to be carried out; the same one when it was begun before."""
    found = preview(
        starts_at=starts_at,
        ends_at=ends_at,
        workspace=workspace,
        credit_percent=credit_percent,
        credit_minor=credit_minor,
    )
    with transaction.atomic():
        now = clock.now()
        incident, is_new = Incident.objects.get_or_create(
            workspace=workspace,
            starts_at=starts_at,
            ends_at=ends_at,
            defaults={
                "words": words[:500],
                "credit_percent": credit_percent,
                "credit_minor": credit_minor,
                "created_at": now,
                "created_by": actor.label[:200] or actor.kind,
            },
        )
        incident.people = len(found.told) if is_new else max(incident.people, len(found.told))
        incident.nameless = len(found.nameless)
        incident.next_try_at, incident.finished_at = now + _RETRY_AFTER, None
        incident.save(update_fields=["people", "nameless", "next_try_at", "finished_at"])
        effects.kick(TASK, str(incident.pk))
    return incident


def carry_out(incident_id: UUID) -> int:
    """Tell everybody of the incident who has not been told yet; how many that were.

    One who cannot be told is logged and tried again later; the others do not wait for them.
    """
    incident = Incident.objects.select_related("workspace").get(pk=incident_id)
    Incident.objects.filter(pk=incident_id).update(next_try_at=clock.now() + _RETRY_AFTER)
    found = hits.find(
        starts_at=incident.starts_at, ends_at=incident.ends_at, workspace=incident.workspace
    )
    told = set(incident.apologies.values_list("workspace_id", "email"))
    waiting = [h for h in hits.to_be_told(found) if (h.workspace.pk, h.email) not in told]
    outcomes = [_tell_or_log(incident, hit) for hit in waiting]
    if None not in outcomes:
        Incident.objects.filter(pk=incident.pk).update(finished_at=clock.now(), next_try_at=None)
    return sum(outcome is True for outcome in outcomes)


def _tell_or_log(incident: Incident, hit: Hit) -> bool | None:
    try:
        return _tell(incident, hit)
    except Exception:
        log.exception("%s could not be told of incident %s", hit.email, incident.pk)
        return None


@transaction.atomic
def _tell(incident: Incident, hit: Hit) -> bool:
    """Apology, credit and mail of one person, in one transaction; False when somebody was first."""
    apology = Apology(
        incident=incident,
        workspace=hit.workspace,
        email=hit.email,
        member=hit.member,
        lines=hit.lines,
        quoted_minor=hit.quoted_minor,
        currency=hit.workspace.currency,
        created_at=clock.now(),
    )
    Apology.objects.bulk_create([apology], ignore_conflicts=True)
    if not Apology.objects.filter(pk=apology.pk).exists():
        return False
    apology.credit_entry = _credited(incident, hit)
    apology.save(update_fields=["credit_entry"])
    rows.insert([mails.apology(apology, incident)])
    return True


def _credited(incident: Incident, hit: Hit) -> CreditEntry | None:
    minor = _credit(hit, incident.credit_percent, incident.credit_minor)
    if not minor:
        return None
    member = hit.member or member_of_address(hit.email)
    return enter(
        account=lock_account(workspace=hit.workspace, member=member),
        kind=CreditEntry.Kind.GOODWILL,
        amount_minor=minor,
        source="make_good",
        key=f"incident:{incident.pk}:{hit.email}",
        actor=Actor(SYSTEM.kind, label=incident.created_by),
        reason="We could not serve you",
        expires_at=goodwill_expires_at(hit.workspace, clock.now()),
    )


def _credit(hit: Hit, percent: int, minor: int) -> int:
    return minor or round_half_up(Decimal(hit.quoted_minor * percent) / 100)


@dataclass(frozen=True)
class Report:
    """What has come of an incident so far; `credit` in words, a sum per currency."""

    people: int
    told: int
    nameless: int
    rebooked: int
    credit: str
    is_finished: bool


def report(incident: Incident) -> Report:
    """Progress while it runs, the report afterwards."""
    apologies = incident.apologies.all()
    sums = (
        CreditEntry.objects.filter(apology__incident=incident)
        .values_list("account__currency")
        .annotate(minor=Sum("amount_minor"))
        .order_by("account__currency")
    )
    return Report(
        people=incident.people,
        told=apologies.count(),
        nameless=incident.nameless,
        rebooked=apologies.filter(rebooked_at__isnull=False).count(),
        credit=", ".join(str(Money(minor, currency)) for currency, minor in sums),
        is_finished=incident.finished_at is not None,
    )
