"""Rules of giving back: refunds to card and credit, news of them, disputes, the credit ledger."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from config.kernel import clock
from payments import credits as ledger
from payments import refunding
from payments.lock_objects import lock_money
from payments.models import CreditAccount, CreditEntry, Payment, Refund
from payments.states import NEEDS_ATTENTION
from tests.properties import money, stripe_side, world
from tests.properties.machine import STAFF, Machine, upset, which
from tests.properties.upsets import REFUND_FAULTS, Upset

refunding_upset = st.one_of(upset, upset, st.sampled_from([Upset(kind) for kind in REFUND_FAULTS]))
_PAID = ("confirmed", "cancelled", "completed", "no_show")


class GivingBack(Machine):
    """What happens to money on its way out."""

    # --- Refunds ----------------------------------------------------------------------------------

    @precondition(lambda self: self.has(*_PAID))
    @rule(
        index=which,
        percent=st.sampled_from([10, 33, 100, 120]),
        to=st.sampled_from(["card", "card", "credit"]),
        wrong=refunding_upset,
    )
    def refund(self, index: int, percent: int, to: str, wrong: Upset | None) -> None:
        """Staff give some of it back, and it is carried out, unless something comes between."""
        hold = self.pick(index, *_PAID)
        left = money.left_to_give_back(hold.booking_id).left
        amount = max(1, left * percent // 100)
        given = self.attempt_in_transaction(
            "refund",
            lambda: refunding.request(
                lock_money(hold.booking_id),
                amount_minor=amount,
                cause=Refund.Cause.STAFF,
                actor=STAFF,
                to=to,
                reason="Sorry",
            ),
        )
        if given is not None:
            assert given.total_minor == amount <= left
            self.deeds.promise(hold.booking_id, amount)
            for refund in given.refunds:
                self._carry_out(refund, wrong)

    @precondition(lambda self: any(s.refunds for s in self.states))
    @rule(index=which, wrong=refunding_upset)
    def carry_out_a_refund(self, index: int, wrong: Upset | None) -> None:
        """Kicked, hinted at by a webhook, or twice for no reason."""
        refund = self._refund(index)
        if refund is not None:
            self._carry_out(refund, wrong)

    def _carry_out(self, refund: Refund, wrong: Upset | None) -> None:
        if wrong is not None and wrong.kind in REFUND_FAULTS:
            self.deeds.befalls(refund.due.booking_id, "refund trouble")
        self.attempt("carry out a refund", lambda: refunding.carry_out(refund.pk), wrong)

    @precondition(lambda self: any(s.refunds for s in self.states))
    @rule(index=which, arrives=st.booleans())
    def news_of_a_refund(self, index: int, arrives: bool) -> None:
        """The bank took it, or sent it back; perhaps days after it had succeeded."""
        refund = self._refund(index)
        if refund is None or not refund.stripe_refund_id:
            return
        if arrives:
            word = stripe_side.end_refund(self.sandbox, refund.stripe_refund_id, "succeeded")
        else:
            word = stripe_side.end_refund(self.sandbox, refund.stripe_refund_id, "failed")
            self.deeds.befalls(refund.due.booking_id, "refund trouble")
        self.attempt("news of a refund", lambda: word)

    @precondition(lambda self: any(s.refunds_wait for s in self.states))
    @rule(index=which, again=st.booleans())
    def staff_see_to_a_refund(self, index: int, again: bool) -> None:
        """Stripe had refused it: ask again, or give it up."""
        refund = self._refund(index, NEEDS_ATTENTION)
        if refund is None:
            return
        if again:
            work = lambda: refunding.retry(refund_id=refund.pk, actor=STAFF)  # noqa: E731
        else:
            work = lambda: refunding.give_up(  # noqa: E731
                refund_id=refund.pk, actor=STAFF, reason="Paid in cash"
            )
        self.attempt("staff see to a refund", work, outcome="again" if again else "given up")

    def _refund(self, index: int, *states: str) -> Refund | None:
        mine = Refund.objects.filter(due__workspace__in=self.world.workspace_ids)
        fitting = mine.filter(state__in=states) if states else mine
        found = list(fitting.select_related("due").order_by("-pk"))
        return found[index % len(found)] if found else None

    # --- Disputes ---------------------------------------------------------------------------------

    @precondition(lambda self: self.has(*_PAID))
    @rule(
        index=which,
        status=st.sampled_from(
            ["needs_response", "warning_needs_response", "won", "lost", "warning_closed"]
        ),
    )
    def dispute(self, index: int, status: str) -> None:
        """A cardholder objects or asks; or it comes to an end."""
        if status.endswith("needs_response"):
            self._dispute(index, status)
            return
        open_ones = stripe_side.open_disputes(self.sandbox, self.world)
        if open_ones:
            word = stripe_side.end_dispute(self.sandbox, open_ones[index % len(open_ones)], status)
            self.attempt("dispute ends", lambda: word)

    def _dispute(self, index: int, status: str) -> None:
        hold = self.pick(index, *_PAID)
        paid = Payment.objects.filter(due__booking_id=hold.booking_id, state="captured").first()
        if paid is not None:
            word = stripe_side.dispute(self.sandbox, paid.payment_intent_id, status)
            self.deeds.befalls(hold.booking_id, "dispute")
            self.attempt("dispute", lambda: word)

    # --- Credit -----------------------------------------------------------------------------------

    @rule(
        deed=st.sampled_from(["issue", "issue", "reverse", "correct", "expire"]),
        who=st.integers(0, 1),
        where=st.integers(0, world.WORKSPACES - 1),
        index=which,
    )
    def credit_deed(self, deed: str, who: int, where: int, index: int) -> None:
        """What staff and time do to credit."""
        about = {"workspace": self.world.workspaces[where], "member": self.world.members[who]}
        if deed == "issue":
            self._issue(about, amount_minor=[700, 5000][index % 2], key=f"key {index % 3}")
        elif deed == "reverse":
            self._reverse(index)
        elif deed == "correct":
            key = f"correct {CreditEntry.objects.count()}"
            given = {"amount_minor": -900, "reason": "Too much", "source": "test", "key": key}
            self.attempt("correct", lambda: ledger.correct(**about, **given, actor=STAFF))
        else:
            self.attempt("expire", self._expire)

    def _expire(self) -> str:
        """A month goes by for what was given for a month."""
        in_a_month = clock.now() + timedelta(days=31)
        accounts = CreditAccount.objects.filter(workspace__in=self.world.workspace_ids)
        return str(sum(ledger._expire_one(account.pk, in_a_month) for account in accounts))

    def _issue(self, about: dict[str, Any], *, amount_minor: int, key: str) -> None:
        """The same key gives the same entry, and is refused for another amount (INV-8)."""
        mine = CreditEntry.objects.filter(
            account__workspace=about["workspace"], account__member=about["member"]
        )
        before = mine.filter(idempotency_key=key).first()
        given = {"amount_minor": amount_minor, "reason": "Sorry", "source": "test", "key": key}
        entry = self.attempt("issue", lambda: ledger.issue(**about, **given, actor=STAFF))
        if before is not None:
            assert entry == (before if before.amount_minor == amount_minor else None)

    def _reverse(self, index: int) -> None:
        entries = CreditEntry.objects.filter(account__workspace__in=self.world.workspace_ids)
        found = list(entries.order_by("pk").values_list("pk", flat=True))
        entry_id = found[index % len(found)]
        told = {"reason": "By mistake", "source": "test", "actor": STAFF}
        self.attempt("reverse", lambda: ledger.reverse(entry_id=entry_id, **told))
