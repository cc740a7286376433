"""What is owed, how it was paid, given back and credited, and what the reconciler saw."""

from payments.models.attempts import FailedAttempt
from payments.models.credits import CreditAccount, CreditEntry
from payments.models.findings import CheckRun, Finding
from payments.models.incidents import Apology, Incident
from payments.models.money import Checkout, Due, Payment, RevivedBooking, Signal
from payments.models.refunds import Dispute, Receipt, ReceiptNumber, Refund

__all__ = [
    "Apology",
    "CheckRun",
    "Checkout",
    "CreditAccount",
    "CreditEntry",
    "Dispute",
    "Due",
    "FailedAttempt",
    "Finding",
    "Incident",
    "Payment",
    "Receipt",
    "ReceiptNumber",
    "Refund",
    "RevivedBooking",
    "Signal",
]
