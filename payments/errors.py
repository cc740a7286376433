"""Why a payment cannot go ahead."""

from config.kernel.errors import DomainError


class PaymentInProgress(DomainError):
    code = "payment_in_progress"
    status = 409
    detail = "A payment for this slot is being settled."


class AlreadyPaid(DomainError):
    code = "already_paid"
    status = 409
    detail = "This booking is paid for already."


class CheckoutReplaced(DomainError):
    """Somebody opened another page for the same hold at the same time: ask again."""

    code = "checkout_replaced"
    status = 409
    detail = "Another payment page was opened for this hold at the same time. Please try again."

    @property
    def is_final(self) -> bool:
        return False
