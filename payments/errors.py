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
