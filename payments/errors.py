"""Why a payment cannot go ahead."""

from config.kernel.errors import DomainError


class PaymentInProgress(DomainError):
    code = "payment_in_progress"
    status = 409
    detail = "A payment for this slot is being settled."


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
