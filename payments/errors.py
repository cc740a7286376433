"""Why a payment cannot go ahead."""

from config.kernel.database_errors import names
from config.kernel.errors import DomainError


class PaymentInProgress(DomainError):
    code = "payment_in_progress"
    status = 409
    detail = "A payment for this slot is being settled."

    @property
    def is_final(self) -> bool:
        """Never kept for replays: what is being settled will be settled."""
        return False


class ChargesNotEnabled(DomainError):
    code = "charges_not_enabled"
    status = 409
    detail = "This cannot be paid for yet. Nothing was charged."


class PayAgainOver(DomainError):
    code = "pay_again_over"
    status = 410
    detail = "The time to pay for this booking is over."


class AlreadyPaid(DomainError):
    code = "already_paid"
    status = 409
    detail = "This booking is paid for already."


class NothingToRefund(DomainError):
    code = "nothing_to_refund"
    status = 409
    detail = "Nothing of this booking's is left to give back."


class RefundTooLarge(DomainError):
    code = "refund_too_large"
    status = 409
    detail = "That is more than is left to give back."


class NobodyToCredit(DomainError):
    code = "nobody_to_credit"
    status = 409
    detail = "This booking has no e-mail address, so there is nobody to credit."


class RefundChanged(DomainError):
    code = "refund_changed"
    status = 409
    detail = "What is given back has changed since you looked."


class TooLateToChange(DomainError):
    code = "too_late_to_change"
    status = 409
    detail = "It is too late to move this booking. You can still make it longer."


class ApprovedByStaff(DomainError):
    """What staff approved is that time, and no other one."""

    code = "approved_by_staff"
    status = 409
    detail = "Staff approve bookings of this: ask them to move it, or make a new request."


class NothingChanges(DomainError):
    code = "nothing_changes"
    status = 422
    detail = "That is what you have already."


class PriceChanged(DomainError):
    code = "price_changed"
    status = 409
    detail = "What this change costs has changed since you looked."


class Unpaid(DomainError):
    code = "payment_due"
    status = 409
    detail = "Pay for this booking first."


class TooLateToCancel(DomainError):
    code = "too_late_to_cancel"
    status = 409
    detail = "It has begun already."


names("refund_within_payment", RefundTooLarge)
names("refund_of_captured_payment", NothingToRefund)


class CheckoutReplaced(DomainError):
    """Somebody opened another page for the same hold at the same time: ask again."""

    code = "checkout_replaced"
    status = 409
    detail = "Another payment page was opened for this hold at the same time. Please try again."

    @property
    def is_final(self) -> bool:
        return False
