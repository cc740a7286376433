"""What price rules come to: by the clock, in tiers, with taxes; never less for longer."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bookings.discount_rules import Reduction, reduced, repriced, without_discount
from bookings.prices import Price, counting
from bookings.pricing import quote
from bookings.rules import Days, Window
from bookings.taxes import Tax
from config.kernel.money import KNOWN_CURRENCIES, Money, round_half_up
from tests.core.test_pricing import RULES

AUCKLAND = ZoneInfo("Pacific/Auckland")
MONDAY = datetime(2030, 6, 3, 9, tzinfo=UTC)
GROUP, OTHER = uuid4(), uuid4()
NOON = time(12)


def priced(*prices, start=MONDAY, hours=1, quantity=1, groups=frozenset(), **changes):
    rules = replace(RULES, prices=prices, **changes)
    return quote(rules, Window(start, start + timedelta(hours=hours)), quantity, groups=groups)


def minor(*prices, **more):
    return priced(*prices, **more).total.amount_minor


def local(*when, zone="Pacific/Auckland", fold=0):
    return datetime(*when, tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


# --- Kinds ----------------------------------------------------------------------------------------


def test_each_kind_counts_what_it_says():
    assert minor(Price("per_hour", 1000, ""), hours=1.5) == 1500
    assert minor(Price("per_step", 1000, "", step_seconds=1800), hours=1.75) == 4000
    assert minor(Price("per_step", 1000, ""), hours=0.5, step_seconds=900) == 2000
    assert minor(Price("per_day", 1000, ""), hours=24) == 1000
    assert minor(Price("per_day", 1000, ""), hours=24.25) == 2000, "15 minutes of another day"
    assert minor(Price("per_booking", 1000, ""), hours=15) == 1000
    assert minor(Price("per_step", 1000, "", step_seconds=3600), quantity=3) == 3000
    assert minor(Price("per_day", 1000, ""), quantity=3) == 3000


def test_a_minimum_fills_up_what_is_missing_and_leaves_free_things_free():
    rules = Price("per_hour", 1000, ""), Price("minimum", 2500, "")
    found = priced(*rules, hours=1)
    assert (found.total.amount_minor, found.parts[1]["amount_minor"]) == (2500, 1500)
    assert found.parts[1]["label"] == "Minimum charge"
    assert minor(*rules, hours=2.5) == 2500
    assert minor(*rules, hours=3) == 3000
    assert minor(Price("minimum", 2500, "")) == 0
    assert minor(Price("per_hour", 0, ""), Price("minimum", 2500, "")) == 0


def test_tiers_are_of_the_bookings_own_time():
    """The first two hours at 30, then 20, and from the fifth 10."""
    tiers = (
        Price("per_hour", 3000, "", until_seconds=7200),
        Price("per_hour", 2000, "", from_seconds=7200, until_seconds=4 * 3600),
        Price("per_hour", 1000, "", from_seconds=4 * 3600),
    )
    assert [minor(*tiers, hours=h) for h in (1, 2, 3, 4, 5.5)] == [3000, 6000, 8000, 10000, 11500]
    assert len(priced(*tiers, hours=1).parts) == 1, "what does not count is not shown"
    # As a basic price, and a special one that stands in its place.
    special = Price("per_hour", 3000, ""), Price("per_hour", 2000, "", 1, from_seconds=7200)
    assert minor(*special, hours=3) == 8000


def test_a_rate_from_a_quantity_and_for_a_group():
    many = Price("per_hour", 1000, ""), Price("per_hour", 700, "", 1, from_quantity=5)
    assert [minor(*many, quantity=q) for q in (1, 4, 5)] == [1000, 4000, 3500]
    theirs = Price("per_hour", 1000, ""), Price("per_hour", 600, "", 1, group_id=GROUP)
    assert minor(*theirs) == 1000
    assert minor(*theirs, groups=frozenset({OTHER})) == 1000
    assert minor(*theirs, groups=frozenset({OTHER, GROUP})) == 600


def test_basic_prices_add_up_and_special_ones_stand_in_their_place_kind_by_kind():
    basic = [Price("per_hour", 1000, "a"), Price("per_hour", 300, "b")]
    cleaning = Price("per_booking", 500, "c")
    assert counting([*basic, cleaning]) == [*basic, cleaning]
    dear, cheap = Price("per_hour", 900, "d", 1), Price("per_hour", 800, "e", 1)
    assert counting([*basic, cleaning, dear, cheap]) == [cleaning, cheap]
    first = Price("per_hour", 2000, "f", 2)
    assert counting([*basic, cleaning, dear, cheap, first]) == [cleaning, first]


# --- The clock ------------------------------------------------------------------------------------

HALF_BEFORE_NOON = Price("per_hour", 4000, ""), Price("per_hour", 2000, "Morning", 1, to_time=NOON)


def test_a_window_across_noon_is_split_there_in_local_time():
    start = local(2030, 6, 3, 11)
    found = priced(*HALF_BEFORE_NOON, start=start, hours=2.5, timezone="Pacific/Auckland")
    assert [(p["label"], p["quantity"], p["amount_minor"]) for p in found.parts] == [
        ("Per hour", "1.5", 6000),
        ("Morning", "1", 2000),
    ]


def test_several_days_are_split_on_each():
    start = local(2030, 6, 3, 18)
    hours = 2 * 24
    assert minor(*HALF_BEFORE_NOON, start=start, hours=hours, timezone="Pacific/Auckland") == (
        24 * 4000 + 24 * 2000
    )


def test_weekdays_seasons_and_nights_past_midnight():
    night = Price("per_hour", 100, "", weekdays=frozenset({4}), from_time=time(22), to_time=time(6))
    friday = local(2030, 6, 7, 20, zone="UTC")
    assert friday.weekday() == 4
    assert minor(night, start=friday, hours=24) == 800, "the night that begins on Friday"
    assert minor(night, start=friday - timedelta(days=1), hours=10) == 0
    summer = Price("per_day", 100, "", first_day=date(2030, 6, 4), last_day=date(2030, 6, 5))
    assert minor(summer, start=MONDAY, hours=24 * 7) == 200
    sunday = Price("per_booking", 500, "", weekdays=frozenset({6}))
    assert minor(sunday, start=local(2030, 6, 9, 23, zone="UTC"), hours=5) == 500
    assert minor(sunday, start=local(2030, 6, 8, 23, zone="UTC"), hours=5) == 0


def test_a_started_step_and_a_day_are_priced_by_the_moment_they_begin():
    steps = (
        Price("per_step", 100, "", step_seconds=3600),
        Price("per_step", 10, "", 1, to_time=NOON),
    )
    start = local(2030, 6, 3, 11, 30, zone="UTC")
    assert minor(*steps[:1], start=start, hours=2) == 200
    assert minor(*steps[:1], Price("per_step", 10, "", 1, step_seconds=3600, to_time=NOON),
                 start=start, hours=2) == 110  # fmt: skip
    days = Price("per_day", 100, ""), Price("per_day", 70, "", 1, weekdays=frozenset({5, 6}))
    assert minor(*days, start=local(2030, 6, 7, 12, zone="UTC"), hours=48) == 100 + 70


@pytest.mark.parametrize(
    ("day", "before", "hours"),
    [
        ((2030, 4, 7), 4, "the clocks go back at three: four hours before three o'clock"),
        ((2030, 9, 29), 2, "they go forward at two: two hours before three o'clock"),
    ],
)
def test_prices_by_the_clock_count_real_hours_when_it_jumps(day, before, hours):
    early = Price("per_hour", 100, "", to_time=time(3))
    start, end = local(*day, 0), local(*day, 6)
    rules = replace(RULES, prices=(early,), timezone="Pacific/Auckland")
    assert quote(rules, Window(start, end)).total.amount_minor == before * 100, hours


def test_a_time_that_comes_twice_is_priced_each_time_as_the_clock_shows_it():
    """02:00 to 03:00 comes twice in Auckland that night: a price until 02:30 applies twice."""
    price = Price("per_hour", 6000, "", from_time=time(2), to_time=time(2, 30))
    start = local(2030, 4, 7, 0)
    rules = replace(RULES, prices=(price,), timezone="Pacific/Auckland")
    assert quote(rules, Window(start, start + timedelta(hours=6))).total.amount_minor == 6000


def test_a_day_ends_when_the_clock_shows_the_same_time_again():
    daily = Price("per_day", 100, "")
    shorter = local(2030, 4, 25, 12, zone="Africa/Cairo")  # the clocks skip an hour that night
    assert minor(daily, start=shorter, hours=23, timezone="Africa/Cairo") == 100
    assert minor(daily, start=shorter, hours=24, timezone="Africa/Cairo") == 200
    longer = local(2030, 10, 31, 12, zone="Africa/Cairo")  # midnight is 23:00 once more
    assert minor(daily, start=longer, hours=25, timezone="Africa/Cairo") == 100


def test_nights_are_counted_as_they_are_booked():
    nights = Days(time(15), time(11), 1, 14)
    rules = replace(RULES, prices=(Price("per_day", 100, ""),), days=nights, timezone="UTC")
    stay = nights.window(rules.zone, date(2030, 6, 3), 3)
    assert quote(rules, stay).total.amount_minor == 300


zones = st.sampled_from(
    ["UTC", "Pacific/Auckland", "Europe/Berlin", "America/New_York", "Africa/Cairo",
     "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"]
)  # fmt: skip
# Around the changes of clocks of 2030 in both hemispheres, and an ordinary time.
moments = st.builds(
    lambda day, minutes: datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=day, minutes=minutes),
    st.sampled_from([10, 66, 67, 88, 89, 95, 96, 113, 114, 157, 245, 270, 271, 278, 299, 303, 305]),
    st.integers(0, 288).map(lambda n: n * 5),
)
times = st.none() | st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
days = st.none() | st.integers(0, 364).map(lambda n: date(2030, 1, 1) + timedelta(days=n))
seconds = st.sampled_from([0, 900, 3600, 7200])


def _sensible(price):
    return (price.from_time is None or price.from_time != price.to_time) and (
        price.until_seconds is None or price.until_seconds > price.from_seconds
    )


def rules_of(kinds, tiers=True):
    one = st.builds(
        Price,
        kind=st.sampled_from(kinds),
        amount_minor=st.integers(0, 10_000),
        label=st.just(""),
        priority=st.integers(0, 2),
        step_seconds=st.sampled_from([900, 1800, 3600]),
        from_seconds=seconds if tiers else st.just(0),
        until_seconds=st.none() | seconds if tiers else st.none(),
        weekdays=st.frozensets(st.integers(0, 6), max_size=4),
        from_time=times,
        to_time=times,
        first_day=days,
        last_day=days,
        from_quantity=st.integers(1, 3),
        group_id=st.sampled_from([None, None, GROUP]),
    )
    return st.lists(one.filter(_sensible), max_size=5).map(tuple)


anything = rules_of(["per_hour", "per_step", "per_day", "per_booking", "minimum"])
fives = st.integers(1, 12 * 30).map(lambda n: n * 5)
quantities = st.integers(1, 4)
groups = st.sampled_from([frozenset(), frozenset({GROUP})])
taxes = st.builds(
    Tax, name=st.just("VAT"), basis_points=st.sampled_from([0, 700, 1500, 1999]),
    is_added=st.booleans(),
)  # fmt: skip


def _minutes(prices, start, minutes, quantity, groups, zone, **changes):
    rules = replace(RULES, prices=prices, timezone=zone, **changes)
    window = Window(start, start + timedelta(minutes=minutes))
    return quote(rules, window, quantity, groups=groups)


@settings(max_examples=150)
@given(rules_of(["per_hour"]), moments, fives, quantities, groups, zones)
def test_hours_by_the_clock_are_what_a_look_every_five_minutes_finds(
    prices, start, length, quantity, theirs, zone
):
    """The oracle walks through the window and asks at each moment which rules count."""
    mine = [p for p in prices if p.is_for(quantity, theirs)]
    spent = [0] * len(mine)
    for step in range(0, length, 5):
        since = timedelta(minutes=step)
        at = (start + since).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        here = counting([p for p in mine if p.applies(at, since)])
        for index, price in enumerate(mine):
            spent[index] += 5 * any(price is each for each in here)
    expected = sum(
        round_half_up(Decimal(minutes * quantity * price.amount_minor) / 60)
        for minutes, price in zip(spent, mine, strict=True)
    )
    found = _minutes(prices, start, length, quantity, theirs, zone)
    # A third of an hour is not a finite decimal: half units may fall to the other side.
    assert abs(found.total.amount_minor - expected) <= len(mine)


@settings(max_examples=200)
@given(anything, moments, fives, fives, quantities, groups, zones, taxes)
def test_ending_later_never_costs_less_and_lines_add_up(
    prices, start, length, longer, quantity, theirs, zone, tax
):
    asked = prices, start
    short = _minutes(*asked, length, quantity, theirs, zone, tax=tax)
    long = _minutes(*asked, length + longer, quantity, theirs, zone, tax=tax)
    assert long.total.amount_minor >= short.total.amount_minor >= 0
    assert short == _minutes(*asked, length, quantity, theirs, zone, tax=tax)
    for found in (short, long):
        assert found.total.amount_minor == sum(p["amount_minor"] for p in found.parts)
        assert all(p["amount_minor"] >= 0 and type(p["amount_minor"]) is int for p in found.parts)


@settings(max_examples=100)
@given(rules_of(["per_hour", "per_day"], tiers=False), moments, fives, fives, fives, zones)
def test_without_tiers_a_window_that_contains_another_never_costs_less(
    prices, start, before, length, after, zone
):
    hourly = tuple(p for p in prices if p.kind == "per_hour" or not (p.from_time or p.to_time))
    whole = _minutes(hourly, start, before + length + after, 1, frozenset(), zone)
    inner = start + timedelta(minutes=before)
    part = _minutes(hourly, inner, length, 1, frozenset(), zone)
    assert whole.total.amount_minor >= part.total.amount_minor


# --- Tax ------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000_000), taxes)
def test_tax_is_within_the_price_or_upon_it_and_always_adds_up(amount, tax):
    found = priced(Price("per_booking", amount, ""), tax=tax)
    if not tax.basis_points:
        assert [p["kind"] for p in found.parts] == ["per_booking"]
        return
    said = found.parts[-1]["tax"]
    assert said["net_minor"] + said["amount_minor"] == found.total.amount_minor
    exact = Decimal(said["net_minor"] * tax.basis_points) / 10_000
    if tax.is_added:
        assert (said["net_minor"], said["inclusive"]) == (amount, False)
        assert abs(said["amount_minor"] - exact) <= Decimal("0.5")
    else:
        assert (found.total.amount_minor, said["inclusive"]) == (amount, True)
        assert abs(said["amount_minor"] - exact) <= 1


@pytest.mark.parametrize(
    ("currency", "price", "hours", "tax", "total", "shown"),
    [
        ("JPY", 1000, 0.25, Tax("Tax", 1000, True), 275, "¥275"),
        ("JPY", 999, 0.5, Tax("Tax", 1000, False), 500, "¥500"),
        ("KWD", 1250, 1.5, Tax("Tax", 500, True), 1970, "KWD 1.970"),
        ("EUR", 995, 0.5, Tax("VAT", 1900, True), 593, "€5.93"),
        ("NZD", 4500, 1, Tax("GST", 1500, False), 4500, "NZ$45.00"),
    ],
)
def test_every_currency_in_its_own_exponent_half_up(currency, price, hours, tax, total, shown):
    found = priced(Price("per_hour", price, ""), hours=hours, tax=tax, currency=currency)
    assert (found.total, str(found.total)) == (Money(total, currency), shown)
    assert currency in KNOWN_CURRENCIES


# --- Discounts ------------------------------------------------------------------------------------

reductions = st.builds(
    lambda percent, amount: Reduction("C", percent, None if percent else amount),
    st.none() | st.integers(1, 100),
    st.integers(1, 60_000),
)
costs = st.integers(0, 20_000)


def _line(cost, tax):
    return uuid4(), priced(Price("per_booking", cost, ""), tax=tax)


@given(st.lists(costs, min_size=1, max_size=6), taxes, reductions)
@example([1, 1, 1], Tax("VAT", 700, True), Reduction("C", None, 2))
def test_a_discount_is_spread_over_the_lines_and_never_below_zero(amounts, tax, by):
    lines = [_line(cost, tax) for cost in amounts]
    found = reduced(lines, by)
    off = [-p["amount_minor"] for q in found for p in q.parts if p["kind"] == "discount"]
    for (_, before), after in zip(lines, found, strict=True):
        assert after.total.amount_minor == sum(p["amount_minor"] for p in after.parts)
        assert 0 <= after.total.amount_minor <= before.total.amount_minor
        assert without_discount(after) == before
    if sum(q.total.amount_minor for q in found) == 0:
        assert sum(off) == sum(amounts)
    elif by.percent is None:
        assert sum(off) == min(by.amount_minor, sum(amounts))
    else:
        exact = Decimal(sum(amounts) * by.percent) / 100
        assert abs(sum(off) - exact) <= Decimal("0.5") * len(amounts)


@given(costs, st.integers(0, 500), taxes, reductions)
def test_with_a_discount_a_dearer_line_never_costs_less(cost, more, tax, by):
    less, dearer = (reduced([_line(c, tax)], by)[0] for c in (cost, cost + more))
    assert dearer.total.amount_minor >= less.total.amount_minor


@given(st.lists(costs, min_size=1, max_size=5), st.integers(0, 500), reductions)
def test_and_neither_do_several_lines_where_no_tax_is_added(amounts, more, by):
    def total(found):
        return sum(q.total.amount_minor for q in reduced([_line(c, Tax()) for c in found], by))

    assert total([amounts[0] + more, *amounts[1:]]) >= total(amounts)


def test_what_a_card_cannot_be_asked_for_is_let_go():
    (free,) = reduced([_line(1000, Tax())], Reduction("C", 96))
    assert free.total.amount_minor == 0
    (paid,) = reduced([_line(1000, Tax())], Reduction("C", 95))
    assert paid.total.amount_minor == 50


def test_a_discount_for_some_resources_leaves_the_others():
    mine, other = _line(1000, Tax()), _line(500, Tax())
    for by in (Reduction("C", 50, None, frozenset({mine[0]})),
               Reduction("C", None, 5000, frozenset({mine[0]}))):  # fmt: skip
        found = reduced([mine, other], by)
        assert found[1] == other[1]
        assert found[0].total.amount_minor == (500 if by.percent else 0)


def test_moved_lines_keep_their_share_of_a_fixed_discount_and_a_percentage_of_the_new_price():
    lines = [_line(1000, Tax()), _line(3000, Tax())]
    by = Reduction("C", None, 2000)
    kept = reduced(lines, by)
    assert [q.total.amount_minor for q in kept] == [500, 1500]
    moved = repriced(_line(400, Tax())[1], uuid4(), kept[0].parts, by)
    assert moved.total.amount_minor == 0
    back = repriced(_line(1000, Tax())[1], uuid4(), moved.parts, by)
    assert back.total.amount_minor == 500, "its share is the same as in the beginning"
    half = Reduction("C", 50)
    assert repriced(_line(3001, Tax())[1], uuid4(), kept[0].parts, half).total.amount_minor == 1500
