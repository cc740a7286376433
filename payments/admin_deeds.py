"""What staff do with money that was paid: said before it is done, done once, with a reason."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.db import transaction
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from bookings.models import Booking
from config.kernel.errors import DomainError
from config.kernel.money import Money, minor_of
from members import request_ids
from members.admin_scope import staff_actor
from members.admin_words import Deed, ReasonForm, link, said_moment
from members.idempotency import Answer, once
from payments import cancelling, refunding
from payments.cancelling import AMOUNT, FULL, NONE, POLICY, Back
from payments.holding import placed
from payments.lock_objects import lock_money
from payments.models import Dispute, Due, Payment, Refund
from payments.models.refunds import ASKED
from payments.shares import Left
from payments.standing import Standing, left_of, standing_of
from payments.states import CAPTURE


class MoneyForm(ReasonForm):
    """An amount, where it goes, and why; the request id makes a double click one deed."""

    amount = forms.DecimalField(
        min_value=0, widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"})
    )
    to = forms.ChoiceField(choices=ASKED, widget=UnfoldAdminSelectWidget())
    request_id = forms.CharField(widget=forms.HiddenInput(), initial=request_ids.issue)
    field_order = ("refund", "amount", "to", "reason")

    def amount_minor(self, currency: str) -> int:
        """The amount typed, in minor units. Raises InvalidInput for a fraction of one."""
        return minor_of(self.cleaned_data["amount"] or Decimal(0), currency)


class CancelForm(MoneyForm):
    """The same for a cancellation: by the policy unless staff decide otherwise."""

    refund = forms.ChoiceField(
        label="Give back",
        choices=[
            (POLICY, "By the policy"),
            (FULL, "All of it"),
            (NONE, "Nothing"),
            (AMOUNT, "The amount below"),
        ],
        widget=UnfoldAdminSelectWidget(),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("refund", "amount", "to", "request_id"):
            self.fields[name].required = False
        self.fields["amount"].help_text = "Only for an amount of your own."


def cancellation(request: HttpRequest, booking: Booking, *, effects: list[str], back: str) -> Deed:
    """Cancel a booking, with what is given back by policy, in full, not at all, or an amount."""

    def perform(form: CancelForm) -> None:
        given = form.cleaned_data
        amount = form.amount_minor(booking.currency) if given["refund"] == AMOUNT else None
        back = Back(given["refund"] or POLICY, given["to"] or Refund.To.CARD, amount)
        actor, reason = staff_actor(request), given["reason"].strip()
        placed(
            lambda: cancelling.cancel(booking_id=booking.pk, actor=actor, reason=reason, back=back)
        )

    return Deed(
        title=f"Cancel booking {booking.reference}",
        effects=[*effects, *_money_of_cancelling(booking)],
        button="Cancel the booking and free the slot",
        done=f"{booking.reference} is cancelled and its slot is free.",
        back=back,
        perform=perform,
        form=CancelForm,
    )


def _money_of_cancelling(booking: Booking) -> list[str]:
    if cancelling.is_being_paid(booking):
        return ["A payment is being captured: wait for its outcome, then cancel."]
    by_policy = cancelling.preview(booking)
    if not by_policy.paid.amount_minor:
        return ["Nothing was paid."]
    full = cancelling.preview(booking, Back(FULL))
    said = [
        f"{by_policy.paid} was paid.",
        f"By the policy {by_policy.given_back} goes back and {by_policy.kept} is kept.",
        f"All that is left to give back is {full.given_back}.",
    ]
    if by_policy.before.amount_minor:
        said.insert(1, f"{by_policy.before} has been given back before.")
    return said


def refund_of_booking(request: HttpRequest, booking: Booking, *, back: str) -> Deed:
    """Give back a part of what was paid for a booking; the booking stays as it is."""
    standing = _standing(booking.pk)
    left = standing.left
    currency = booking.currency

    def ask(form: MoneyForm) -> None:
        refunding.request(
            lock_money(booking.pk),
            amount_minor=form.amount_minor(currency),
            to=form.cleaned_data["to"],
            cause=Refund.Cause.STAFF,
            actor=staff_actor(request),
            reason=form.cleaned_data["reason"].strip(),
        )

    return Deed(
        title=f"Refund booking {booking.reference}",
        effects=[
            *_what_is_left(left, currency),
            "The booking stays as it is. The member is told, with your reason.",
        ],
        button="Give it back",
        done="The refund is under way.",
        back=back,
        perform=lambda form: _once(request, "admin.refund", str(booking.pk), form, ask),
        form=MoneyForm,
    )


def _what_is_left(left: Left, currency: str) -> list[str]:
    """How much there is; and the rule of mixed payments, where credit was part of it."""
    up_to = f"Up to {Money(left.total_minor, currency)} can be given back"
    if not left.by_credit_minor:
        return [f"{up_to}."]
    return [
        (
            f"{up_to}: {Money(left.by_card_minor, currency)} paid by card, "
            f"{Money(left.by_credit_minor, currency)} by credit."
        ),
        (
            "To the card: the card's money first, the rest as the credit that was spent. "
            "As credit: the credit that was spent first."
        ),
    ]


def refund_of_payment(request: HttpRequest, payment: Payment, *, back: str) -> Deed:
    """An accepted payment's refund is its booking's; one never accepted goes back whole."""
    booking = payment.due.booking
    if payment.verdict == CAPTURE:
        return refund_of_booking(request, booking, back=back)
    left = Money(left_of(payment), payment.currency)

    def perform(reason: str) -> None:
        with transaction.atomic():
            refunding.request_whole(
                lock_money(booking.pk),
                Payment.objects.get(pk=payment.pk),
                cause=Refund.Cause.STAFF,
                actor=staff_actor(request),
                reason=reason,
            )

    return Deed(
        title=f"Give payment {payment.name} back",
        effects=[
            f"{left} goes back to the card."
            if not payment.is_external
            else f"{left} is yours to give back.",
            f"Booking {booking.reference} and its other payments are not touched.",
        ],
        button=f"Give {left} back",
        done="The refund is under way.",
        back=back,
        perform=perform,
    )


def retry(request: HttpRequest, refund: Refund, *, back: str) -> Deed:
    """Ask Stripe again."""
    return Deed(
        title=f"Try to give {refund.amount} back again",
        effects=[f"Stripe said: {refund.last_error}", "It is asked once more."],
        button="Try again",
        done="It is tried again.",
        back=back,
        perform=lambda _reason: refunding.retry(refund_id=refund.pk, actor=staff_actor(request)),
        dangerous=False,
        asks_reason=False,
    )


def give_up(request: HttpRequest, refund: Refund, *, back: str) -> Deed:
    """Let go of a refund that Stripe refused, or that nobody is to hand over."""
    said = refund.last_error if refund.to == Refund.To.HAND else f"Stripe said: {refund.last_error}"
    return Deed(
        title=f"Give up this refund of {refund.amount}",
        effects=[
            said,
            "No money moves. The amount can be given back in another way afterwards.",
        ],
        button="Give up this refund",
        done="The refund is given up.",
        back=back,
        perform=lambda reason: refunding.give_up(
            refund_id=refund.pk, actor=staff_actor(request), reason=reason
        ),
    )


def has_something_left(booking_id: Any) -> bool:
    """Whether a refund can be offered."""
    return bool(_standing(booking_id).left.total_minor)


def refunds_said(booking: Booking, zone: str) -> list[dict[str, Any]]:
    """A booking's refunds, for its page."""
    return [
        {
            "link": link("payments_refund", refund.pk, str(refund.amount)),
            "state": f"{refund.get_to_display().lower()}, {refund.state.replace('_', ' ')}",
            "when": said_moment(refund.created_at, zone),
            "error": refund.last_error,
        }
        for refund in Refund.objects.filter(due__booking=booking).order_by("created_at")
    ]


def disputes_said(booking: Booking, zone: str) -> list[dict[str, Any]]:
    """A booking's disputes, for its page."""
    return [
        {
            "link": link(
                "payments_dispute", dispute.pk, str(Money(dispute.amount_minor, dispute.currency))
            ),
            "state": dispute.status.replace("_", " "),
            "when": said_moment(dispute.opened_at, zone),
        }
        for dispute in Dispute.objects.filter(payment__due__booking=booking)
    ]


def _standing(booking_id: UUID) -> Standing:
    return standing_of(Due.objects.filter(booking_id=booking_id))


def _once(request: HttpRequest, operation: str, subject: str, form: MoneyForm, ask: Any) -> None:
    """Do it once for the form's request id; a refusal, new or repeated, is said."""

    def work() -> Answer:
        ask(form)
        return Answer(204, None)

    given = form.cleaned_data
    # A corrected form says something else, so it is another deed of the same page.
    said = f"{given['amount']}:{given['to']}"
    answer = once(
        scope=f"member:{request.user.pk}",
        operation=operation,
        key=f"{request_ids.check(given['request_id'])}:{said}",
        request={"subject": subject, "said": said},
        work=work,
    )
    if answer.status >= 400:
        raise DomainError(answer.body["detail"])
