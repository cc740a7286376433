"""A cancellation policy in plain words, with and without a start."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bookings.policy import Terms
from bookings.words import policy_text

START = datetime(2030, 12, 8, 1, 0, tzinfo=UTC)  # 14:00 in Auckland


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (Terms(0, 0, 0, 0), "Free to cancel until it starts."),
        (
            Terms(1, 0, 0, 0),
            "Free to cancel until 1 hour before it starts. After that, nothing is given back.",
        ),
        (
            Terms(48, 4, 50, 0),
            (
                "Free to cancel until 2 days before it starts. After that, 50% is given back until "
                "4 hours before it starts. After that, nothing is given back."
            ),
        ),
        (
            Terms(24, 0, 50, 500),
            (
                "Everything less a fee of NZ$5.00 is given back until 24 hours before it starts. "
                "After that, 50% less a fee of NZ$5.00 is given back until it starts."
            ),
        ),
    ],
)
def test_without_a_start_it_speaks_of_hours(terms: Terms, words: str) -> None:
    assert policy_text(terms, "NZD") == words


@pytest.mark.parametrize(
    ("hours_ahead", "words"),
    [
        (
            72,
            (
                "Free to cancel until Fri 6 Dec, 14:00, Auckland. After that, 50% is given back "
                "until Sun 8 Dec, 10:00, Auckland. After that, nothing is given back."
            ),
        ),
        (
            47,
            (
                "50% is given back until Sun 8 Dec, 10:00, Auckland. After that, nothing is given "
                "back."
            ),
        ),
        (3, "Nothing is given back when you cancel."),
    ],
)
def test_with_a_start_it_says_when_as_far_as_that_is_ahead(hours_ahead: int, words: str) -> None:
    found = policy_text(
        Terms(48, 4, 50, 0),
        "NZD",
        starts_at=START,
        zone=ZoneInfo("Pacific/Auckland"),
        now=START - timedelta(hours=hours_ahead),
    )
    assert found == words
