"""Prices: whole minor units, parts that add up, never less for more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from bookings.policy import Terms
from bookings.pricing import quote
from bookings.rules import Hours, Price, Rules, Window

START = datetime(2030, 6, 3, 9, tzinfo=UTC)
RULES = Rules(
    resource_id=uuid4(), workspace_id=uuid4(), location_id=uuid4(), category_id=uuid4(),
    name="Room", slug="room", mode="exclusive", capacity=1, timezone="UTC", currency="NZD",
    step_seconds=900, min_seconds=900, max_seconds=86400, buffer_before_seconds=0,
    buffer_after_seconds=0, notice_seconds=0, horizon_days=365, hold_ttl_seconds=900,
    terms=Terms(24, 0, 0, 0), hours=Hours(), prices=(),
)  # fmt: skip

prices = st.lists(
    st.builds(
        Price,
        kind=st.sampled_from(["per_hour", "per_booking"]),
        amount_minor=st.integers(0, 10_000_000),
        label=st.just(""),
    ),
    max_size=5,
).map(tuple)
minutes = st.integers(1, 7 * 24 * 60)
quantities = st.integers(1, 50)


def _quote(found, length, quantity=1, **changes):
    rules = replace(RULES, prices=found, **changes)
    return quote(rules, Window(START, START + timedelta(minutes=length)), quantity)


@given(prices, minutes, quantities)
def test_the_parts_add_up_to_the_total(found, length, quantity):
    priced = _quote(found, length, quantity)
    assert priced.total.amount_minor == sum(part["amount_minor"] for part in priced.parts)
    assert len(priced.parts) == len(found)
    assert all(type(part["amount_minor"]) is int for part in priced.parts)
    assert priced == _quote(found, length, quantity)


@given(prices, minutes, minutes, quantities, quantities)
def test_longer_or_more_never_costs_less(found, length, longer, quantity, more):
    least = _quote(found, length, quantity).total.amount_minor
    assert _quote(found, length + longer, quantity).total.amount_minor >= least
    assert _quote(found, length, quantity + more).total.amount_minor >= least


@given(prices, minutes, quantities)
def test_each_part_is_its_exact_amount_to_half_a_unit(found, length, quantity):
    for price, part in zip(found, _quote(found, length, quantity).parts, strict=True):
        hours = Decimal(length) / 60 if price.kind == "per_hour" else Decimal(1)
        exact = hours * quantity * price.amount_minor
        # Sixtieths of an hour are not always finite decimals.
        assert abs(Decimal(part["amount_minor"]) - exact) <= Decimal("0.5000001")


@given(prices, minutes)
def test_buffers_are_free(found, length):
    plain = _quote(found, length)
    assert _quote(found, length, buffer_before_seconds=3600, buffer_after_seconds=900) == plain


def test_a_quote_as_a_member_reads_it():
    found = (Price("per_booking", 1500, "Cleaning"), Price("per_hour", 4500, ""))
    priced = _quote(found, 90, 2)
    assert str(priced.total) == "NZ$165.00"
    assert priced.parts == [
        {"label": "Cleaning", "kind": "per_booking", "quantity": "2", "unit_minor": 1500,
         "amount_minor": 3000},
        {"label": "Per hour", "kind": "per_hour", "quantity": "3", "unit_minor": 4500,
         "amount_minor": 13500},
    ]  # fmt: skip


def test_a_half_is_rounded_up_and_a_third_to_the_nearest():
    assert _quote((Price("per_hour", 1, ""),), 30).total.amount_minor == 1
    assert _quote((Price("per_hour", 100, ""),), 20).total.amount_minor == 33
    assert _quote((Price("per_hour", 100, ""),), 40).total.amount_minor == 67
    assert _quote((), 60).total.amount_minor == 0
