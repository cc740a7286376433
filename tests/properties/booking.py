"""Rules of booking: claim, claim anew, extend, let go, lapse, a block, cancelling, no-shows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from bookings import services as bookings_services
from bookings.models import Occupancy
from bookings.rules import Window
from holds import services as holds_services
from holds import tasks as holds_tasks
from holds.claims import AddOnRequest, Claimant, LineRequest
from holds.models import Hold
from members.idempotency import Answer, once
from payments import cancelling, holding
from payments.cancelling import FULL, NONE, POLICY, Back
from payments.models import Refund
from tests.core.support import SOMEBODY, lapse
from tests.money.support import into_grace
from tests.properties import money, world
from tests.properties.deeds import Blocked
from tests.properties.machine import STAFF, Machine, upset, which
from tests.properties.upsets import Upset

workspace = st.integers(0, world.WORKSPACES - 1)
person = st.integers(0, world.PEOPLE - 1)
# A place, the hour at which it begins, how many hours, how many units: few, so that they collide.
line = st.tuples(
    st.integers(0, world.PLACES - 1), st.integers(9, 11), st.integers(1, 2), st.integers(1, 2)
)
some_lines = st.lists(line, min_size=1, max_size=2)


class Booking(Machine):
    """What happens to slots."""

    # --- Claiming ---------------------------------------------------------------------------------

    @rule(who=person, where=workspace, lines=some_lines, twice=st.booleans())
    def claim(self, who: int, where: int, lines: list[Any], twice: bool) -> None:
        """Once, or twice with one key: the same answer then, and one hold (INV-8)."""
        key = uuid4().hex
        first = self._claim(who, where, lines, key=key)
        if first is None or not twice:
            return
        before = len(self.world.bookings)
        again = self._claim(who, where, lines, key=key)
        assert again is not None
        assert (again.status, again.body, again.replayed) == (first.status, first.body, True)
        assert len(self.world.bookings) == before

    def _claim(self, who: int, where: int, lines: list[Any], *, key: str) -> Answer | None:
        """As a page does: the person's own holds in the way are replaced."""
        claimant = self.world.people[who]
        asked = [self._line(where, *each) for each in lines]

        def attempt() -> Answer:
            return once(
                scope="visitor:of-the-machine",
                operation="claim",
                key=key,
                request=[who, where, lines],
                work=lambda: self._placed(where, claimant, asked),
            )

        answer = self.attempt("claim", lambda: holding.placed(attempt))
        if answer is not None and answer.status == 201 and not answer.replayed:
            booking_id = Hold.objects.values_list("booking_id", flat=True).get(
                pk=answer.body["hold"]
            )
            if booking_id not in self.world.bookings:
                self.world.bookings.append(booking_id)
        return answer

    def _placed(self, where: int, claimant: Claimant, lines: list[LineRequest]) -> Answer:
        workspace = self.world.workspaces[where]
        own = holding.own_in_the_way(
            workspace=workspace, lines=lines, visitor=claimant.visitor, member=claimant.member
        )
        hold = holding.place(
            workspace=workspace, lines=lines, claimant=claimant, actor=SOMEBODY, token=own
        )
        return Answer(201, {"hold": str(hold.pk)})

    def _line(self, where: int, place: int, hour: int, hours: int, units: int) -> LineRequest:
        """Two units of a room are the room with a unit of the pool as its add-on."""
        resource, pool = self.world.places[where][place], self.world.places[where][-1]
        add_ons = (AddOnRequest(pool.pk, 1),) if units > resource.capacity else ()
        start = self.world.day + timedelta(hours=hour)
        units = units if resource.capacity > 1 else 1
        return LineRequest(resource.pk, start, start + timedelta(hours=hours), units, add_ons)

    # --- Keeping and losing -----------------------------------------------------------------------

    @precondition(lambda self: self.has("pending_payment"))
    @rule(index=which, wrong=upset)
    def let_go(self, index: int, wrong: Upset | None) -> None:
        hold = self.pick(index, "pending_payment")
        self.attempt("let go", lambda: holding.let_go(hold_id=hold.pk, actor=SOMEBODY), wrong)

    @precondition(lambda self: self.has("pending_payment"))
    @rule(index=which, grace=st.booleans())
    def time_is_up(self, index: int, grace: bool) -> None:
        hold = self.pick(index, "pending_payment")
        if hold.state != "active":
            return
        if grace and hold.lapses_at - hold.expires_at > timedelta(seconds=20):
            self.attempt("time is up", lambda: into_grace(hold), outcome="grace")
        else:
            self.attempt("time is up", lambda: lapse(hold), outcome="lapsed")

    # --- Ending what is confirmed -----------------------------------------------------------------

    @precondition(lambda self: self.has("confirmed"))
    @rule(
        index=which,
        how=st.sampled_from([POLICY, FULL, NONE]),
        to=st.sampled_from(["card", "credit"]),
        by_staff=st.booleans(),
    )
    def cancel(self, index: int, how: str, to: str, by_staff: bool) -> None:
        hold = self.pick(index, "confirmed")
        self._cancel(hold, Back(how, Refund.To(to)) if by_staff else None)

    def _cancel(self, hold: Hold, back: Back | None) -> None:
        """Whoever cancels gets what they were shown, and that is what the terms say."""
        expected = money.left_to_give_back(hold.booking_id)
        shown = cancelling.preview(hold.booking, back).given_back.amount_minor
        if hold.booking.state != "confirmed":
            shown = 0  # refused, or cancelled before: nothing more is given back
        elif "dispute" not in self.deeds.misfortunes[hold.booking_id]:
            assert shown == expected.after(back.how if back else POLICY), (shown, expected)
        name = "staff cancel" if back else "member cancels"
        booking = self.attempt(name, lambda: self._cancelled(hold, back))
        if booking is not None:
            self.deeds.promise(booking.pk, shown)

    def _cancelled(self, hold: Hold, back: Back | None) -> Any:
        if back is None:
            return holding.placed(
                lambda: cancelling.cancel_own(booking_id=hold.booking_id, actor=SOMEBODY)
            )
        return holding.placed(
            lambda: cancelling.cancel(booking_id=hold.booking_id, actor=STAFF, back=back)
        )

    # --- What else befalls a slot -----------------------------------------------------------------

    @rule(
        deed=st.sampled_from(["extend", "tidy", "block", "complete", "no-show"]),
        index=which,
        where=workspace,
        one=line,
    )
    def slot_deed(self, deed: str, index: int, where: int, one: Any) -> None:
        """What is worth doing now and then."""
        if deed == "tidy":
            self.attempt("tidy", holds_tasks.tidy_lapsed)
        elif deed == "block":
            self._block(where, one)
        elif self.states:
            self._one_hold(deed, index)

    def _one_hold(self, deed: str, index: int) -> None:
        hold = self.pick(index, "pending_payment" if deed == "extend" else "confirmed")
        work: dict[str, Callable[[], object]] = {
            "extend": lambda: holds_services.extend(hold_id=hold.pk, actor=SOMEBODY),
            "complete": lambda: bookings_services.complete(booking_id=hold.booking_id),
            "no-show": lambda: bookings_services.no_show(booking_id=hold.booking_id, actor=STAFF),
        }
        self.attempt(deed, work[deed])

    def _block(self, where: int, one: Any) -> None:
        wanted, resource = self._line(where, *one), self.world.places[where][one[0]]
        mine = Occupancy.objects.filter(resource=resource, released_at=None)
        before = frozenset(mine.values_list("booking_id", flat=True))
        placed = self.attempt(
            "block",
            lambda: bookings_services.place_block(
                workspace=self.world.workspaces[where],
                resource=resource,
                window=Window(wanted.start, wanted.end),
                reason="Cleaning",
                quantity=wanted.quantity,
            ),
        )
        if placed is not None:
            self.deeds.blocked.append(Blocked(placed[0].pk, resource.pk, before))
