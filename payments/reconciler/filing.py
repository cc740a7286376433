"""Findings by the page: each cause once, silent where staff settled it, closed when gone."""

import logging
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F

from config.kernel.clock import now as database_now
from payments import findings
from payments.findings import FINGERPRINT
from payments.models import Finding
from payments.reconciler.base import Check, Seen
from payments.stripe_api import StripeDown, is_unreachable

log = logging.getLogger(__name__)

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


def told_since(seen: Sequence[Seen], since: datetime) -> set[tuple[str, str, str]]:
    """The causes of these that have been told of since then, those that were healed included."""
    found = _of_causes(seen).filter(last_seen_at__gte=since)
    return {_cause(finding) for finding in found}


def close_unseen(check: Check, *, since: datetime, until: float) -> int:
    """Close this check's findings that a pass begun at `since` has not seen again.

    Where a check asks for each, it asks until its time is up (`until`, monotonic seconds), for one
    at least and for `check.asks` at most: those that were not asked for longest come first, and the
    rest is the next pass's.
    """
    unseen = Finding.objects.filter(kind__in=check.kinds, closed_at=None, last_seen_at__lt=since)
    gone = unseen
    if type(check).is_gone is not Check.is_gone:
        asked = unseen.order_by("last_seen_at", "pk")[: check.asks]
        gone = unseen.filter(pk__in=_gone(check, asked, until))
    return gone.update(
        closed_at=database_now(), resolution=Finding.Resolution.CAUSE_GONE, closed_by=_BY
    )


def _gone(check: Check, found: Iterable[Finding], until: float) -> list[UUID]:
    gone = []
    for asked, finding in enumerate(found):
        if asked and time.monotonic() >= until:
            break
        try:
            is_gone = check.is_gone(finding)
        except StripeDown as error:
            log.warning("check %s could not ask about %s: %s", check.name, finding.pk, error)
            if is_unreachable(error):
                break
            is_gone = False
        if is_gone:
            gone.append(finding.pk)
        else:
            Finding.objects.filter(pk=finding.pk).update(last_seen_at=database_now())
    return gone


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
