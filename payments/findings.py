"""Filing what should not be, once per cause, and closing it when the cause is gone."""

from typing import Any

from django.db import transaction
from django.db.models import F

from config.kernel.clock import now as database_now
from config.kernel.context import Actor
from members.models import Workspace
from payments.models import Finding

# The key in a finding's evidence under which its fingerprint is kept.
FINGERPRINT = "fingerprint"
# Staff have dealt with it, and it may well go on: silent until its fingerprint changes.
SETTLED = (Finding.Resolution.DISMISSED, Finding.Resolution.CREDITED)


def file(
    *,
    kind: str,
    severity: str,
    subject_type: str,
    subject_id: object,
    summary: str,
    workspace: Workspace | None = None,
    evidence: dict[str, Any] | None = None,
    done: str = "",
    fingerprint: str = "",
) -> Finding:
    """The open finding of this cause, seen once more; or a new one with its evidence.

    `fingerprint` says how it stands. When that has changed, what is kept of an open finding is
    renewed; while it is the same, what staff dismissed or gave credit for stays closed, and is what
    is returned. Without one every call tells.
    """
    now = database_now()
    cause = {"kind": kind, "subject_type": subject_type, "subject_id": str(subject_id)}
    with transaction.atomic():
        settled = _settled(cause, fingerprint)
        if settled is not None:
            return settled
        made = Finding(
            **cause,
            severity=severity,
            workspace=workspace,
            summary=summary[:300],
            evidence={**(evidence or {}), FINGERPRINT: fingerprint},
            done=done[:500],
            seen_at=now,
            last_seen_at=now,
        )
        Finding.objects.bulk_create([made], ignore_conflicts=True)
        known = Finding.objects.select_for_update(no_key=True).get(**cause, closed_at=None)
        if known.pk != made.pk:
            Finding.objects.filter(pk=known.pk).update(last_seen_at=now, seen=F("seen") + 1)
            renew(known, made)
    return known


def _settled(cause: dict[str, str], fingerprint: str) -> Finding | None:
    """What staff have closed as it stands, unless it is open again."""
    found = Finding.objects.filter(**cause).order_by("-seen_at")
    if not fingerprint or found.filter(closed_at=None).exists():
        return None
    same = {f"evidence__{FINGERPRINT}": fingerprint}
    return found.filter(resolution__in=SETTLED, **same).first()


def renew(known: Finding, seen: Finding) -> None:
    """Let an open finding say how it stands now, if that has changed: staff act on what it says."""
    if known.evidence.get(FINGERPRINT, "") == seen.evidence[FINGERPRINT]:
        return
    known.severity, known.summary = seen.severity, seen.summary
    known.evidence = {**known.evidence, **seen.evidence}
    Finding.objects.filter(pk=known.pk, closed_at=None).update(
        severity=known.severity, summary=known.summary, evidence=known.evidence
    )


def resolve(finding: Finding, *, resolution: str, actor: Actor, note: str = "") -> bool:
    """Close a finding by staff's decision; False when it was closed before."""
    closed = Finding.objects.filter(pk=finding.pk, closed_at=None).update(
        closed_at=database_now(),
        resolution=resolution,
        note=note[:1000],
        closed_by=actor.label[:200] or actor.kind,
    )
    return bool(closed)
