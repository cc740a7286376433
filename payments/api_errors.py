"""What the calls that touch money may be refused for; their descriptions list it."""

from bookings.discounts import DISCOUNT_ERRORS, DiscountUsedUp
from bookings.errors import NOT_ALLOWED, SlotTaken
from config.kernel.errors import DomainError, InvalidTransition, VersionMismatch
from holds.booking_limits import BookingLimitReached
from holds.errors import HoldExpired, TooManyHolds
from holds.gate import SlotContended
from payments.credit_spending import MoreCreditThanOwed, RestTooSmall
from payments.credits import NotEnoughCredit
from payments.errors import (
    AlreadyPaid,
    ChargesNotEnabled,
    CheckoutReplaced,
    NobodyToCredit,
    NothingChanges,
    NothingToRefund,
    PaymentInProgress,
    RefundTooLarge,
    Unpaid,
)
from payments.external import AmountDiffers, AwaitingApproval, ReferenceUsed

Errors = list[type[DomainError]]

CLAIM_ERRORS: Errors = [
    *NOT_ALLOWED,
    *DISCOUNT_ERRORS,
    BookingLimitReached,
    ChargesNotEnabled,
    PaymentInProgress,
    SlotContended,
    SlotTaken,
    TooManyHolds,
]
CHECKOUT_ERRORS: Errors = [
    AlreadyPaid,
    BookingLimitReached,
    ChargesNotEnabled,
    CheckoutReplaced,
    DiscountUsedUp,
    HoldExpired,
    MoreCreditThanOwed,
    NotEnoughCredit,
    PaymentInProgress,
    RestTooSmall,
]
CONFIRM_ERRORS: Errors = [
    AlreadyPaid,
    AmountDiffers,
    AwaitingApproval,
    HoldExpired,
    InvalidTransition,
    PaymentInProgress,
    ReferenceUsed,
]
CANCEL_ERRORS: Errors = [InvalidTransition, NobodyToCredit, PaymentInProgress, VersionMismatch]
REFUND_ERRORS: Errors = [NobodyToCredit, NothingToRefund, RefundTooLarge]
RESCHEDULE_ERRORS: Errors = [
    *NOT_ALLOWED,
    BookingLimitReached,
    ChargesNotEnabled,
    InvalidTransition,
    NobodyToCredit,
    NothingChanges,
    PaymentInProgress,
    SlotTaken,
    Unpaid,
    VersionMismatch,
]
