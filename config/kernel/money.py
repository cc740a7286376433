"""Money as integer minor units beside an ISO 4217 currency. Floats never touch it."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from config.kernel.errors import InvalidInput

# Currencies whose minor unit is not a hundredth (ISO 4217 exponents).
_ZERO = [
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND",
    "VUV", "XAF", "XOF", "XPF",
]  # fmt: skip
_THREE = [
    "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND",
]  # fmt: skip
_EXPONENTS = dict.fromkeys(_ZERO, 0) | dict.fromkeys(_THREE, 3)
_TWO = [
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT",
    "BGN", "BMD", "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BZD", "CAD", "CDF", "CHF", "CNY",
    "COP", "CRC", "CUP", "CVE", "CZK", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD",
    "FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR",
    "ILS", "INR", "IRR", "JMD", "KES", "KGS", "KHR", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD",
    "LSL", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN",
    "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "PAB", "PEN", "PGK", "PHP", "PKR",
    "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE",
    "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TOP", "TRY", "TTD",
    "TWD", "TZS", "UAH", "USD", "UYU", "UZS", "VES", "WST", "XCD", "YER", "ZAR", "ZMW",
]  # fmt: skip
KNOWN_CURRENCIES = frozenset(_ZERO) | frozenset(_THREE) | frozenset(_TWO)
# Stripe counts these in other minor units than ISO 4217: what we call 5 would be charged as 500, or
# as a twentieth. Nothing can be sold in them.
COUNTED_DIFFERENTLY = frozenset({"ISK", "MGA", "UGX"})
# A card is charged and refunded in these only in tens of the minor unit.
_IN_TENS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
# What Stripe charges at least, where it is not 50 minor units.
_SMALLEST_CHARGE = {
    "AED": 200, "BGN": 100, "CZK": 1500, "DKK": 250, "GBP": 30, "HKD": 400, "HUF": 17500,
    "MXN": 1000, "MYR": 200, "NOK": 300, "PLN": 200, "RON": 200, "SEK": 300, "THB": 1000,
}  # fmt: skip
_SYMBOLS = {
    "AUD": "A$", "CAD": "C$", "EUR": "€", "GBP": "£", "JPY": "¥", "NZD": "NZ$", "USD": "US$",
}  # fmt: skip


def exponent(currency: str) -> int:
    """How many decimals the currency's minor unit has: 2 for NZD, 0 for JPY, 3 for KWD."""
    return _EXPONENTS.get(currency.upper(), 2)


def smallest_charge(currency: str) -> int:
    """The least that a card can be asked for."""
    return _SMALLEST_CHARGE.get(currency, 50)


def coin(currency: str) -> int:
    """The smallest step, in minor units, by which a card can be charged."""
    return 10 if currency in _IN_TENS else 1


def round_to_coin(amount: Decimal, currency: str) -> int:
    """The nearest amount that a card can be charged, in minor units; a half goes up."""
    return round_half_up(amount / coin(currency)) * coin(currency)


def round_half_up(amount: Decimal) -> int:
    """A fraction of a minor unit becomes the nearest whole one; a half goes up."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def minor_of(amount: Decimal, currency: str) -> int:
    """An amount as people type it, in minor units. Raises InvalidInput for a fraction of one."""
    minor = amount.scaleb(exponent(currency))
    if minor != minor.to_integral_value():
        raise InvalidInput(f"{currency} has {exponent(currency)} decimals.", field="amount")
    return int(minor)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units. Adding two currencies raises ValueError."""

    amount_minor: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def __str__(self) -> str:
        digits = exponent(self.currency)
        amount = Decimal(abs(self.amount_minor)).scaleb(-digits)
        sign = "−" if self.amount_minor < 0 else ""
        return f"{sign}{_SYMBOLS.get(self.currency, self.currency + ' ')}{amount:,.{digits}f}"

    def as_json(self) -> dict[str, Any]:
        """As the HTTP contract has it: `{"amount_minor": 4500, "currency": "NZD"}`."""
        return {"amount_minor": self.amount_minor, "currency": self.currency}
