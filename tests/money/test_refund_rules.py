"""The pure rules of giving back: how an amount is split, and the tax that a price includes."""

import pytest

from bookings.taxes import tax_within
from payments.errors import NothingToRefund, RefundTooLarge
from payments.shares import Left, Split, across, split


@pytest.mark.parametrize(
    ("amount", "to", "parts"),
    [
        (1000, "card", Split(1000, 0, 0)),
        (3000, "card", Split(3000, 0, 0)),
        (3001, "card", Split(3000, 0, 1)),
        (4500, "card", Split(3000, 0, 1500)),
        (1000, "credit", Split(0, 0, 1000)),
        (1500, "credit", Split(0, 0, 1500)),
        (1501, "credit", Split(0, 1, 1500)),
        (4500, "credit", Split(0, 3000, 1500)),
    ],
)
def test_a_mixed_payment_goes_back_by_the_stated_rule(amount: int, to: str, parts: Split) -> None:
    assert split(amount, Left(3000, 1500), to=to) == parts
    assert parts.total_minor == amount


def test_more_than_is_left_is_refused_with_what_is() -> None:
    with pytest.raises(RefundTooLarge) as refused:
        split(4501, Left(3000, 1500), to="card")
    assert refused.value.data == {"left_minor": 4500}


def test_nothing_left_is_told_apart_from_too_much() -> None:
    with pytest.raises(NothingToRefund):
        split(1, Left(0, 0), to="card")


def test_several_payments_are_drawn_on_in_order() -> None:
    assert across(500, [300, 400]) == [300, 200]
    assert across(200, [300, 400]) == [200, 0]


@pytest.mark.parametrize(
    ("total", "basis_points", "tax"),
    [(11500, 1500, 1500), (4500, 1500, 587), (4500, 1900, 718), (1, 1500, 0), (0, 1500, 0)],
)
def test_tax_is_the_part_of_the_price_that_it_is(total: int, basis_points: int, tax: int) -> None:
    assert tax_within(total, basis_points) == tax
