"""Running one check: a row for each run, one run at a time, resumed where the last one stopped.

Whatever is healed is healed within the run's time: a page whose turn was cut short is looked at
again by the next run, which goes on with what this pass has not tried yet. When Stripe cannot be
reached at all nothing more is tried, and all is told.

The lease is the run's own row, taken under a transaction's advisory lock: no session state, so it
works behind PgBouncer in transaction mode, and nothing is locked while Stripe is asked.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from config.kernel.clock import now as database_now
from config.kernel.errors import DomainError
from config.kernel.locks import advisory
from payments.models import CheckRun
from payments.reconciler import filing
from payments.reconciler.base import Check, Cursor, Page, Seen
from payments.stripe_api import is_unreachable

log = logging.getLogger(__name__)

# Longer than the last page of a run may take: a statement's limit, or Stripe's slowest answers.
_LEASE_BEYOND = timedelta(seconds=120)


def run(
    check: Check, *, since: datetime | None = None, seconds: float | None = None
) -> CheckRun | None:
    """Run a check until its pass is over or its time is up; None when somebody is running it.

    `since` begins a new pass that looks back to then at least. Never raises for a check's
    sake: what went wrong is kept on the run, and the next one resumes.
    """
    row = _begin(check, since)
    if row is None:
        return None
    turns = _Turns(check, row, time.monotonic() + (check.seconds if seconds is None else seconds))
    try:
        while not turns.next() and not turns.is_over:
            pass
    except DomainError as error:
        log.warning("check %s: %s", check.name, error)
        row.error = str(error)[:2000]
    except Exception as error:
        log.exception("check %s", check.name)
        row.error = f"{type(error).__name__}: {error}"[:2000]
    row.finished_at = database_now()
    row.save()
    return row


def _begin(check: Check, since: datetime | None) -> CheckRun | None:
    """Take the lease and say where to start: where the last run stopped, or a new pass."""
    with transaction.atomic():
        advisory([f"check:{check.name}"])
        now = database_now()
        last = CheckRun.objects.filter(name=check.name).order_by("-started_at").first()
        lease = timedelta(seconds=check.seconds) + _LEASE_BEYOND
        if last is not None and last.finished_at is None and last.started_at > now - lease:
            return None
        cursor = _resumed(last) if since is None else None
        if cursor is None:
            before = (last.cursor.get("left") or {}) if last else {}
            cursor = {
                "at": check.start(now=now, before=before, since=since),
                "began": now.isoformat(),
                "left": before,
            }
        row = CheckRun(name=check.name, started_at=now, cursor=cursor)
        row.save(force_insert=True)
        return row


def _resumed(last: CheckRun | None) -> Cursor | None:
    if last is None or last.is_complete or last.cursor.get("at") is None:
        return None
    return dict(last.cursor)


@dataclass
class _Turns:
    """The pages of one run, as long as its time lasts (`until`, monotonic seconds)."""

    check: Check
    row: CheckRun
    until: float
    stripe_is_away: bool = False

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.until

    def next(self) -> bool:
        """One page: look, heal, file; True when the pass is over."""
        check, row = self.check, self.row
        here: Cursor = row.cursor["at"]
        page = check.look(here)
        left, healed, is_whole = self._healed(page)
        row.looked_at += page.looked_at if is_whole else 0
        row.healed += healed + page.healed
        row.found += filing.file_all(check, left)
        if not is_whole:
            return False
        if page.cursor is not None:
            row.cursor = {**row.cursor, "at": page.cursor}
            row.save()
            return False
        filing.close_unseen(check, since=began_at(row), until=self.until)
        row.cursor = {**row.cursor, "at": None, "left": check.left(here)}
        row.is_complete = True
        return True

    def _healed(self, page: Page) -> tuple[list[Seen], int, bool]:
        """Heal what can be healed, one at least: what is left, how many were, and whether each was
        tried in this pass. What was told in this pass has been.
        """
        if not self.check.heals or not page.seen:
            return page.seen, 0, True
        told = filing.told_since(page.seen, began_at(self.row))
        fresh = [seen for seen in page.seen if seen.cause not in told]
        left = [seen for seen in page.seen if seen.cause in told]
        healed = 0
        for tried, seen in enumerate(fresh):
            if tried and self.is_over and not self.stripe_is_away:
                return left, healed, False
            done = "" if self.stripe_is_away else self._try(seen)
            if done:
                filing.file_healed(seen, done)
                healed += 1
            else:
                left.append(seen)
        return left, healed, True

    def _try(self, seen: Seen) -> str:
        try:
            return self.check.heal(seen)
        except DomainError as error:
            log.warning("check %s could not heal %s: %s", self.check.name, seen.subject_id, error)
            self.stripe_is_away = is_unreachable(error)
        except Exception:
            log.exception("check %s could not heal %s", self.check.name, seen.subject_id)
        return ""


def began_at(row: CheckRun) -> datetime:
    """When a run's pass began: what it knows of its first pages is as old as that."""
    began = row.cursor.get("began")
    return datetime.fromisoformat(began) if began else row.started_at


def run_all(checks: Sequence[Check], *, seconds: float) -> dict[str, str]:
    """Run each within the time there is; what came of it by name."""
    until = time.monotonic() + seconds
    outcomes: dict[str, str] = {}
    for check in checks:
        left = until - time.monotonic()
        if left <= 0:
            break
        row = run(check, seconds=min(left, check.seconds))
        outcomes[check.name] = "busy" if row is None else said(row)
    return outcomes


def said(row: CheckRun) -> str:
    """One run in a few words."""
    if row.error:
        return f"failed: {row.error[:80]}"
    state = "complete" if row.is_complete else "to be continued"
    return f"{state}, looked at {row.looked_at}, healed {row.healed}, found {row.found}"
