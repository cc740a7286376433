"""The machine: every rule there is, in any order."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from holds.models import Hold
from payments import settlement, stripe_api
from payments.models import Checkout, Signal
from tests.properties.booking import Booking, person, some_lines, workspace
from tests.properties.changing import Changing
from tests.properties.giving_back import GivingBack
from tests.properties.paying import Paying
from tests.properties.tending import Tending

# How far a booking has come when the run begins, so that no run is spent on getting there.
STAGES = ["held", "open", "paid", "paid later", "decided", "confirmed", "confirmed", "by credit"]
beginning = st.tuples(person, workspace, some_lines, st.sampled_from(STAGES))


class AnyOrder(Booking, Paying, Changing, GivingBack, Tending):
    """Booking, paying, changing, giving back and tending, interleaved by hypothesis."""

    @initialize(beginnings=st.lists(beginning, min_size=1, max_size=4))
    def begin(self, beginnings: list[Any]) -> None:
        """Some bookings, each as far as it says; what is refused is refused."""
        for who, where, lines, stage in beginnings:
            answer = self._claim(who, where, lines, key=uuid4().hex)
            if answer is not None and answer.status == 201:
                self._bring_to(stage, UUID(answer.body["hold"]))
        self.nothing_impossible_has_happened()

    def _bring_to(self, stage: str, hold_id: UUID) -> None:
        hold = Hold.objects.get(pk=hold_id)
        if stage == "held":
            return
        credit = {"by credit": "all", "confirmed": "some", "decided": "some"}.get(stage, "none")
        self._start(hold, credit if hold.booking.member_id else "none", None)
        checkout = Checkout.objects.filter(due__booking_id=hold.booking_id).first()
        if checkout is None or not checkout.session_id or stage in {"open", "by credit"}:
            return
        self.sandbox.pay(checkout.session_id, "pay_later" if stage == "paid later" else "pay")
        finish: dict[str, Callable[[], object]] = {
            "confirmed": lambda: settlement.settle(
                checkout_id=checkout.pk, source=Signal.Source.SUCCESS_PAGE
            ),
            "decided": lambda: settlement._decided(
                checkout, stripe_api.fetch_session(checkout), Signal.Source.PLATFORM
            ),
        }
        if stage in finish:
            self.attempt(f"begin {stage}", finish[stage])
