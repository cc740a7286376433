"""Rules of changing: move and lengthen what is confirmed, pay for it, let it go, let it lapse."""

from datetime import timedelta

from django.db import IntegrityError, transaction
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from bookings.models import Line
from config.kernel.database_errors import translated
from holds.changing import NewWindow
from holds.models import Hold
from payments import checkouts, holding, rescheduling
from payments.rescheduling import BY_PRICE, NONE, Outcome, Settling, Wish
from tests.core.support import SOMEBODY, lapse
from tests.money.support import CANCEL, SUCCESS
from tests.properties import money
from tests.properties.machine import STAFF, Machine, upset, which
from tests.properties.upsets import Upset

deeds = st.sampled_from(["pay", "pay", "pay with credit", "let go", "time is up"])


class Changing(Machine):
    """What happens to bookings that are to become others."""

    @precondition(lambda self: self.has("confirmed"))
    @rule(
        index=which,
        position=st.integers(0, 1),
        by=st.integers(-1, 2),
        longer=st.integers(-1, 1),
        elsewhere=st.booleans(),
        how=st.sampled_from([BY_PRICE, BY_PRICE, NONE]),
        to=st.sampled_from(["card", "credit"]),
    )
    def reschedule(
        self,
        index: int,
        position: int,
        by: int,
        longer: int,
        elsewhere: bool,
        how: str,
        to: str,
    ) -> None:
        """By an hour or two, longer or shorter, here or in another room; all of it or nothing."""
        hold = self.pick(index, "confirmed")
        mains = Line.objects.filter(booking_id=hold.booking_id, parent=None)
        lines = list(mains.order_by("position"))
        line = lines[position % len(lines)]
        window = NewWindow(
            line.position,
            line.starts_at + timedelta(hours=by),
            line.ends_at + timedelta(hours=by + longer),
            self._another(line) if elsewhere else None,
        )
        left = money.left_to_give_back(hold.booking_id).left
        wish = Wish(hold.booking_id, [window], settling=Settling(how, to))
        outcome = self.attempt("reschedule", lambda: self._changed(wish), outcome=how)
        if outcome is not None and outcome.hold is None and how == BY_PRICE:
            cheaper = max(0, -outcome.change.difference_minor)
            left = max(0, left - outcome.change.booking.total_minor)
            self.deeds.promise(hold.booking_id, min(left, cheaper))

    def _changed(self, wish: Wish) -> Outcome:
        def once() -> Outcome:
            try:
                with transaction.atomic():
                    return rescheduling.reschedule(wish, actor=STAFF)
            except IntegrityError as error:  # a pool that is full: named by every page and call
                raise translated(error) or error from error

        return holding.placed(once)

    def _another(self, line: Line):  # type: ignore[no-untyped-def]
        """The other room of its workspace; a pool has none."""
        rooms = next(p for p in self.world.places if line.resource_id in {r.pk for r in p})[:2]
        others = [room.pk for room in rooms if room.pk != line.resource_id]
        return others[0] if len(others) == 1 else None

    @precondition(lambda self: any(s.is_change and s.hold == "active" for s in self.states))
    @rule(index=which, deed=deeds, wrong=upset)
    def change_deed(self, index: int, deed: str, wrong: Upset | None) -> None:
        """A change waits to be paid for: its page is opened, or it comes to nothing."""
        waiting = [s for s in self.states if s.is_change and s.hold == "active"]
        hold = Hold.objects.select_related("change", "booking").get(
            pk=waiting[index % len(waiting)].hold_id
        )
        if deed == "let go":
            self.attempt(
                "change: let go", lambda: holding.let_go(hold_id=hold.pk, actor=SOMEBODY), wrong
            )
        elif deed == "time is up":
            self.attempt("change: time is up", lambda: lapse(hold), outcome="lapsed")
        else:
            self._pay_for(hold, deed == "pay with credit", wrong)

    def _pay_for(self, hold: Hold, with_credit: bool, wrong: Upset | None) -> None:
        assert hold.change is not None
        owed = hold.change.difference_minor
        self.attempt(
            "change: start",
            lambda: checkouts.start(
                hold_id=hold.pk,
                success_url=SUCCESS,
                cancel_url=CANCEL,
                credit_minor=min(1500, owed) if with_credit else 0,
                credit_of=None if hold.booking.member_id else self.world.members[0],
            ),
            wrong,
            outcome="credit" if with_credit else "card",
        )
