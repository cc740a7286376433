"""Every check, in the order in which they run; and which of them are due."""

from datetime import timedelta

from django.db.models import Q, QuerySet

from config.kernel.clock import now as database_now
from payments.models import CheckRun
from payments.reconciler.base import HOUR, Check
from payments.reconciler.effects import EffectsOverdue, RefundsStuck
from payments.reconciler.ledger import CreditLedger
from payments.reconciler.money import CheckoutsStuck, PaymentsStuck
from payments.reconciler.slots import Overlaps
from payments.reconciler.stripe_objects import OpenSessions, StripePayments, UndeliveredEvents
from payments.reconciler.sums import Dues

CHECKS: tuple[Check, ...] = (
    CheckoutsStuck(),
    PaymentsStuck(),
    RefundsStuck(),
    EffectsOverdue(),
    UndeliveredEvents(),
    Overlaps(),
    Dues(),
    CreditLedger(),
    OpenSessions(),
    StripePayments(),
)

# What "0 overlaps" and "0 unexplained money" rest on.
SLOT_CHECKS = ("overlaps",)
MONEY_CHECKS = (
    "dues",
    "credit_ledger",
    "stripe_payments",
    "payments_stuck",
    "checkouts_stuck",
    "refunds_stuck",
)


def check_named(name: str) -> Check:
    """Raises KeyError for a name that there is not."""
    return {check.name: check for check in CHECKS}[name]


def kinds_of(names: tuple[str, ...]) -> list[str]:
    """The kinds of findings of these checks."""
    return [kind for check in CHECKS if check.name in names for kind in check.kinds]


def latest() -> dict[str, CheckRun]:
    """Each check's last run, by name: a look-up in the index for each."""
    return _latest(CheckRun.objects.all())


def latest_whole() -> dict[str, CheckRun]:
    """Each check's last run that ended a whole pass, by name."""
    return _latest(CheckRun.objects.filter(is_complete=True))


def _latest(runs: QuerySet[CheckRun]) -> dict[str, CheckRun]:
    found = [runs.filter(name=check.name).order_by("-started_at").first() for check in CHECKS]
    return {run.name: run for run in found if run is not None}


def forget_old(*, limit: int = 2000) -> int:
    """Runs that found and healed nothing are kept for three days, all others for a year."""
    now = database_now()
    quiet = Q(found=0, healed=0, error="", started_at__lt=now - timedelta(days=3))
    hourly = [check.name for check in CHECKS if check.interval >= HOUR]
    old = CheckRun.objects.filter(
        (quiet & ~Q(name__in=hourly)) | Q(started_at__lt=now - timedelta(days=365))
    )
    gone, _ = CheckRun.objects.filter(pk__in=old.values("pk")[:limit]).delete()
    return gone


def due() -> list[Check]:
    """Checks whose time has come, those whose last run was cut short included.

    After an outage everything is due: whatever was missed is caught up with at once.
    """
    now, last = database_now(), latest()
    return [check for check in CHECKS if _is_due(check, last.get(check.name), now)]


def _is_due(check: Check, run: CheckRun | None, now) -> bool:  # type: ignore[no-untyped-def]
    if run is None or not run.is_complete:
        return True
    # A beat that comes a moment early is not put off by a whole turn.
    return bool(run.started_at <= now - 0.9 * check.interval)
