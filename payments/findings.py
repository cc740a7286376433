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

    `fingerprint` says how it stands: where a check of the reconciler files the same kind, what
    staff dismissed stays silent until that changes.
    """
    now = database_now()
    cause = {"kind": kind, "subject_type": subject_type, "subject_id": str(subject_id)}
    with transaction.atomic():
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
    return known


def resolve(finding: Finding, *, resolution: str, actor: Actor, note: str = "") -> bool:
    """Close a finding by staff's decision; False when it was closed before."""
    closed = Finding.objects.filter(pk=finding.pk, closed_at=None).update(
        closed_at=database_now(),
        resolution=resolution,
        note=note[:1000],
        closed_by=actor.label[:200] or actor.kind,
    )
    return bool(closed)
