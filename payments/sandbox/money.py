"""Amounts: minor units, the currencies without them, and the bounds of one payment."""

from __future__ import annotations

from .errors import StripeError, invalid
from .words import words

ZERO_DECIMAL = frozenset(words("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"))
THREE_DECIMAL = frozenset(words("bhd jod kwd omr tnd"))
# Without minor units in life, with two in the API: whole units only.
WHOLE_UNITS_OF_TWO = frozenset(words("isk ugx"))

CURRENCIES = (
    ZERO_DECIMAL
    | THREE_DECIMAL
    | WHOLE_UNITS_OF_TWO
    | frozenset(
        words(
            "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn "
            "bzd cad cdf chf cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd "
            "gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad "
            "mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php "
            "pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try "
            "ttd twd tzs uah usd uyu uzs wst xcd yer zar zmw"
        )
    )
)

_MINIMUM = {
    "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250,
    "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50,
    "thb": 1000, "usd": 50,
}  # fmt: skip
MAXIMUM = 99_999_999

_SYMBOLS = {
    "usd": "US$", "nzd": "NZ$", "aud": "A$", "cad": "CA$", "eur": "€", "gbp": "£", "jpy": "¥",
    "chf": "CHF\N{NO-BREAK SPACE}", "sek": "SEK\N{NO-BREAK SPACE}", "krw": "₩", "sgd": "S$",
}  # fmt: skip


def exponent(currency: str) -> int:
    """How many decimals the API's integer amounts have in ``currency``."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def display(amount: int, currency: str) -> str:
    """``amount`` (minor units) as a payer reads it: ``NZ$45.00``, ``¥4,500``."""
    digits = exponent(currency)
    number = f"{amount / 10**digits:,.{digits}f}"
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{number}" if symbol else f"{number}\N{NO-BREAK SPACE}{currency.upper()}"


def known_currency(code: str, param: str) -> str:
    """``code`` in lower case, refused when Stripe does not take payments in it."""
    currency = code.lower()
    if currency not in CURRENCIES:
        raise invalid(f"Invalid currency: {code}.", param)
    return currency


def check_unit(amount: int, currency: str, param: str) -> None:
    """Refuse a negative amount, or one finer than the currency's smallest coin."""
    if amount < 0:
        raise invalid("This value must be greater than or equal to 0.", param)
    if currency in THREE_DECIMAL and amount % 10:
        raise invalid(f"Amounts in {currency} must end in 0.", param)
    if currency in WHOLE_UNITS_OF_TWO and amount % 100:
        raise invalid(f"Amounts in {currency} must be whole units, ending in 00.", param)


def check_total(amount: int, currency: str) -> None:
    """Refuse a total that no card payment may have. Zero is free, and allowed."""
    if amount > MAXIMUM:
        raise StripeError(
            f"The total must be no more than {display(MAXIMUM, currency)}.",
            code="amount_too_large",
            param="line_items",
        )
    least = _MINIMUM.get(currency, 1)
    if 0 < amount < least:
        raise StripeError(
            f"The total must add up to at least {display(least, currency)}.",
            code="amount_too_small",
            param="line_items",
        )
