"""Rules of paying: open a page, pay or fail there, and every source that settles, in any order."""

from datetime import timedelta
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from config.kernel import clock
from holds.models import Hold
from payments import checkouts, pay_again, settlement, stripe_api, tasks
from payments.event_names import ALL_EVENTS
from payments.models import Checkout, Signal
from tests.money.support import CANCEL, SUCCESS
from tests.properties import stripe_side
from tests.properties.machine import Machine, upset, which
from tests.properties.upsets import CAPTURE_FAILS, Upset
from tests.properties.webhooks import deliver

# What of the due is to be paid by credit.
share = st.sampled_from(["none", "none", "some", "all"])
outcomes = ["pay", "pay", "pay_without_returning", "decline", "start_authentication",
            "authenticate", "fail_authentication", "pay_later", "everywhere"]  # fmt: skip
settling = st.one_of(upset, upset, st.just(Upset(CAPTURE_FAILS)))
_PAYABLE = ("pending_payment", "expired", "confirmed")


class Paying(Machine):
    """What happens to money on its way in."""

    def has_checkout(self) -> bool:
        return any(standing.checkouts for standing in self.states)

    # --- Opening ----------------------------------------------------------------------------------

    @precondition(lambda self: self.has("pending_payment"))
    @rule(index=which, credit=share, beside=st.booleans(), wrong=upset)
    def start(self, index: int, credit: str, beside: bool, wrong: Upset | None) -> None:
        """Open a page; `beside` one that is about to end by itself: both can be paid then."""
        hold = self.pick(index, "pending_payment")
        if beside:
            soon = clock.now() + timedelta(seconds=30)
            pages = Checkout.objects.filter(due__booking_id=hold.booking_id, state="open")
            pages.update(expires_at=soon)
        self._start(hold, credit, wrong)

    def _start(self, hold: Hold, credit: str, wrong: Upset | None) -> None:
        total = hold.booking.total_minor
        minor = {"none": 0, "some": min(1500, total // 2), "all": total}[credit]
        self.attempt(
            "start",
            lambda: checkouts.start(
                hold_id=hold.pk,
                success_url=SUCCESS,
                cancel_url=CANCEL,
                credit_minor=minor,
                credit_of=None if hold.booking.member_id else self.world.members[0],
            ),
            wrong,
            outcome=f"credit {credit}",
        )

    @precondition(lambda self: any(s.owes_again for s in self.states))
    @rule(index=which, wrong=upset)
    def start_again(self, index: int, wrong: Upset | None) -> None:
        """Its capture failed: the member follows the mail's link."""
        owing = [standing for standing in self.states if standing.owes_again]
        booking_id = owing[index % len(owing)].booking_id
        self.attempt(
            "start again",
            lambda: pay_again.start(booking_id=booking_id, success_url=SUCCESS, cancel_url=CANCEL),
            wrong,
            outcome="opened",
        )

    # --- At the bank ------------------------------------------------------------------------------

    @precondition(has_checkout)
    @rule(index=which, page=st.integers(0, 2), outcome=st.sampled_from(outcomes))
    def pay(self, index: int, page: int, outcome: str) -> None:
        """Any page that was ever opened, whatever has become of its hold.

        `everywhere`: two tabs, the back button, and a page whose address never reached us.
        """
        checkout = self._some_checkout(index, page)
        if outcome == "everywhere":
            pages = stripe_side.open_sessions(self.sandbox, self.world, index)
            answers = [self.sandbox.pay(each["id"], "pay") for each in pages]
            self.attempt("pay everywhere", lambda: f"{len(answers)} pages")
        elif checkout is not None and checkout.session_id:
            answer = self.sandbox.pay(checkout.session_id, outcome)
            self.attempt("pay", lambda: f"{outcome} {answer.status_code}")

    @precondition(lambda self: any(s.open_page for s in self.states))
    @rule(index=st.integers(0, 5), outcome=st.sampled_from(["pay", "pay_later"]), wrong=settling)
    def pay_and_return(self, index: int, outcome: str, wrong: Upset | None) -> None:
        """As most people do: pay, and be sent back to the success page."""
        checkout = self._some_checkout(index, 0)
        if checkout is not None and checkout.session_id:
            self.sandbox.pay(checkout.session_id, outcome)
            self._come_back(checkout.due.booking_id, "pay and return", wrong)

    @precondition(has_checkout)
    @rule(index=which, succeeds=st.booleans())
    def bank_answers(self, index: int, succeeds: bool) -> None:
        """A method that takes days: the bank has decided."""
        waiting = stripe_side.processing(self.sandbox, self.world)
        if waiting:
            outcome = "succeed" if succeeds else "fail"
            self.sandbox.answer_payment(waiting[index % len(waiting)], outcome)
            self.attempt("bank answers", lambda: outcome)

    # --- Settling ---------------------------------------------------------------------------------

    @precondition(has_checkout)
    @rule(index=which, wrong=settling)
    def return_page(self, index: int, wrong: Upset | None) -> None:
        hold = self.pick(index, *_PAYABLE)
        self._come_back(hold.booking_id, "return page", wrong)

    def _come_back(self, booking_id: UUID, name: str, wrong: Upset | None) -> None:
        page = Signal.Source.SUCCESS_PAGE
        found = self.attempt(
            name,
            lambda: settlement.settle_booking(booking_id=booking_id, source=page),
            wrong,
        )
        for outcome in found or []:
            self.attempt(f"{name}: found", lambda outcome=outcome: outcome)

    @precondition(has_checkout)
    @rule(
        index=which,
        page=st.integers(0, 2),
        source=st.sampled_from(list(Signal.Source)),
        wrong=settling,
    )
    def settle(self, index: int, page: int, source: str, wrong: Upset | None) -> None:
        checkout = self._some_checkout(index, page)
        if checkout is not None:
            self.attempt(
                "settle",
                lambda: settlement.settle(checkout_id=checkout.pk, source=source),
                wrong,
            )

    @precondition(has_checkout)
    @rule(index=which, source=st.sampled_from(list(Signal.Source)), fetches=st.booleans())
    def slow_settler(self, index: int, source: str, fetches: bool) -> None:
        """Somebody asks Stripe, and acts on the answer much later."""
        if fetches or not self.truths:
            checkout = self._some_checkout(index, 0)
            if checkout is not None:
                truth = stripe_api.fetch_session(checkout)
                self.truths.append((checkout, truth))
                self.attempt("slow settler asks", lambda: truth.status)
            return
        checkout, truth = self.truths[index % len(self.truths)]
        self.attempt(
            "slow settler settles",
            lambda: settlement.settle(checkout_id=checkout.pk, source=source, known=truth),
        )

    @precondition(has_checkout)
    @rule(index=which, wrong=settling, ends=st.booleans())
    def half_done(self, index: int, wrong: Upset | None, ends: bool) -> None:
        """The verdict is written, and who was to carry it out is gone; or the hold's end comes."""
        checkout = self._some_checkout(index, 0)
        if checkout is None:
            return
        if ends:
            self.attempt("hold's end", lambda: tasks.close_ended(str(checkout.pk)), wrong)
            return
        truth = stripe_api.fetch_session(checkout)
        self.attempt(
            "decide and die",
            lambda: settlement._decided(checkout, truth, Signal.Source.PLATFORM),
        )

    # --- Webhooks ---------------------------------------------------------------------------------

    @precondition(has_checkout)
    @rule(
        first=st.integers(0, 40),
        many=st.integers(1, 4),
        copies=st.integers(1, 2),
        backwards=st.booleans(),
    )
    def webhooks(self, first: int, many: int, copies: int, backwards: bool) -> None:
        """Some events, signed as Stripe signs them: early or late, twice, last first."""
        told = [
            event
            for event in stripe_side.events(self.sandbox, self.world)
            if event["type"] in ALL_EVENTS
        ]
        some = [told[(first + n) % len(told)] for n in range(min(many, len(told)))]
        for event in (some[::-1] if backwards else some) * copies:
            self.attempt("webhooks", lambda event=event: deliver(event))

    @precondition(has_checkout)
    @rule(wrong=settling)
    def follow_signals(self, wrong: Upset | None) -> None:
        """A worker takes what the webhooks left; it may die in the middle."""
        waiting = Signal.objects.filter(
            checkout__due__workspace__in=self.world.workspace_ids, followed_at=None
        )
        for signal_id in list(waiting.order_by("pk").values_list("pk", flat=True)):
            self.attempt("follow signals", lambda pk=signal_id: tasks.follow_signal(str(pk)), wrong)

    def _some_checkout(self, index: int, page: int) -> Checkout | None:
        paged = [s for s in self.states if s.checkouts]
        still_open = [s for s in paged if s.open_page]
        wanted = still_open if still_open and index < 6 else paged
        hold = wanted[index % len(wanted)]
        known = Checkout.objects.filter(due__booking_id=hold.booking_id, session_id__isnull=False)
        found = list(known.select_related("due").order_by("-attempt"))
        return found[page % len(found)] if found else None
