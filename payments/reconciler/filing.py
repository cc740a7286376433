"""Findings by the page: each cause once, silent where staff settled it, closed when gone."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from config.kernel.clock import now as database_now
from payments import findings
from payments.findings import FINGERPRINT
from payments.models import Finding
from payments.reconciler.base import Check, Seen

_BY = "Surehold"


def file_all(check: Check, seen: Sequence[Seen]) -> int:
    """File what was seen; returns how many causes stand open of it, old and new."""
    if not seen:
        return 0
    now = database_now()
    known = _of_causes(seen).filter(closed_at=None)
    wanted = {each.cause: each for each in seen}
    with transaction.atomic():
        again = {_cause(f): f for f in known if _cause(f) in wanted}
        same = Finding.objects.filter(pk__in=[finding.pk for finding in again.values()])
        same.update(last_seen_at=now, seen=F("seen") + 1)
        for cause, finding in again.items():
            findings.renew(finding, _row(wanted[cause], now))
        silent = set() if check.recurs else _settled(seen)
        fresh = [
            each
            for cause, each in wanted.items()
            if cause not in again and (cause, each.fingerprint) not in silent
        ]
        Finding.objects.bulk_create([_row(each, now) for each in fresh], ignore_conflicts=True)
    return len(again) + len(fresh)


def file_healed(seen: Seen, done: str) -> None:
    """Keep what was put right, with its evidence; an open finding of its cause closes with it."""
    now = database_now()
    ending = {
        "done": done[:500],
        "closed_at": now,
        "resolution": Finding.Resolution.CAUSE_GONE,
        "closed_by": _BY,
    }
    with transaction.atomic():
        kind, subject_type, subject_id = seen.cause
        open_one = Finding.objects.filter(
            kind=kind, subject_type=subject_type, subject_id=subject_id, closed_at=None
        )
        if open_one.update(last_seen_at=now, **ending):
            return
        row = _row(seen, now)
        for name, value in ending.items():
            setattr(row, name, value)
        row.save(force_insert=True)


def close_unseen(check: Check, *, since: datetime) -> int:
    """Close this check's findings that a pass begun at `since` has not seen again."""
    candidates = Finding.objects.filter(
        kind__in=check.kinds, closed_at=None, last_seen_at__lt=since
    ).order_by("pk")
    gone = [finding.pk for finding in candidates.iterator(500) if check.is_gone(finding)]
    return Finding.objects.filter(pk__in=gone, closed_at=None, last_seen_at__lt=since).update(
        closed_at=database_now(), resolution=Finding.Resolution.CAUSE_GONE, closed_by=_BY
    )


def _of_causes(seen: Sequence[Seen]):  # type: ignore[no-untyped-def]
    return Finding.objects.filter(
        kind__in={each.kind for each in seen}, subject_id__in={each.subject_id for each in seen}
    )


def _settled(seen: Sequence[Seen]) -> set[tuple[tuple[str, str, str], str]]:
    found = _of_causes(seen).filter(resolution__in=findings.SETTLED)
    return {(_cause(finding), finding.evidence.get(FINGERPRINT, "")) for finding in found}


def _cause(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.subject_type, finding.subject_id


def _row(seen: Seen, now: datetime) -> Finding:
    return Finding(
        kind=seen.kind,
        severity=seen.severity,
        subject_type=seen.subject_type,
        subject_id=seen.subject_id,
        workspace_id=seen.workspace_id,
        summary=seen.summary[:300],
        evidence={**seen.evidence, FINGERPRINT: seen.fingerprint},
        done=seen.done[:500],
        seen_at=now,
        last_seen_at=now,
    )
