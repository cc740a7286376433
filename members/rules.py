"""Pure checks on what a workspace's owner may enter."""

import re
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError

from config.kernel.money import COUNTED_DIFFERENTLY, KNOWN_CURRENCIES

_ACCENT = re.compile(r"#[0-9a-fA-F]{6}")
# WCAG AA for text on our light and dark backgrounds is reached by lightening or darkening an
# accent in CSS; below this distance from white it would take the button's own label away.
_MIN_CONTRAST_WITH_WHITE = 4.5


def validate_timezone(value: str) -> None:
    """Raise ValidationError unless it is an IANA zone such as `Pacific/Auckland`."""
    if value not in available_timezones():
        raise ValidationError(f"“{value}” is not a time zone. Use a name like Europe/Berlin.")


def validate_currency(value: str) -> None:
    """Raise ValidationError unless it is an ISO 4217 code in capitals that Stripe counts alike."""
    if value not in KNOWN_CURRENCIES:
        raise ValidationError(f"“{value}” is not a currency code. Use one like NZD or EUR.")
    if value in COUNTED_DIFFERENTLY:
        raise ValidationError(f"Stripe counts {value} in other units: it cannot be used.")


def validate_accent(value: str) -> None:
    """Raise ValidationError unless white text can be read on this colour (contrast 4.5)."""
    if not _ACCENT.fullmatch(value):
        raise ValidationError("Give the colour as # and six hexadecimal digits.")
    if contrast_with_white(value) < _MIN_CONTRAST_WITH_WHITE:
        raise ValidationError("White text cannot be read on this colour. Choose a darker one.")


def contrast_with_white(colour: str) -> float:
    """The WCAG contrast ratio of `#rrggbb` with white: 1 (white) to 21 (black)."""
    return 1.05 / (luminance(colour) + 0.05)


def luminance(colour: str) -> float:
    """WCAG's relative luminance of `#rrggbb`: 0 (black) to 1 (white)."""
    red, green, blue = (_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.03928 else ((channel + 0.055) / 1.055) ** 2.4
