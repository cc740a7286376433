"""A day's hours: exceptions, holidays, seasons, weekly hours; a resource's and its place's."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from bookings.availability import availability
from bookings.checks import broken_rules
from bookings.holiday_calendars import holidays_of
from bookings.hours import DayHours, HolidayRule, Hours, Season, WeeklySpan
from bookings.models import HolidayCalendar, OpeningException
from bookings.models import Season as SeasonRow
from bookings.rules import Window
from bookings.selectors import rules_for
from bookings.spans import NotSpans, read_spans, spans_from
from bookings.timetable import days_from, hours_of, warm_calendars
from tests.factories import LocationFactory, make_room

NINE_TO_FIVE = spans_from("09:00-17:00")
SHORT = spans_from("10:00-12:00")
LONG = spans_from("06:00-23:00")
WEEK = tuple(WeeklySpan(weekday, time(9), time(17)) for weekday in range(7))
SUMMER = Season("Summer", date(2000, 12, 1), date(2001, 2, 28), True, (LONG,) * 7)
CLOSED_ON_HOLIDAYS = HolidayRule("NZ", "AUK", "closed", ())
CHRISTMAS = date(2027, 12, 25)


# --- Precedence, pure ---------------------------------------------------------------------------


def test_an_exception_goes_before_a_holiday_before_a_season_before_the_weekly_hours():
    party = DayHours(SHORT, "exception", "Party")
    everything = Hours(WEEK, (SUMMER,), CLOSED_ON_HOLIDAYS, {CHRISTMAS: party})
    assert everything.on(CHRISTMAS) == party
    without = Hours(WEEK, (SUMMER,), CLOSED_ON_HOLIDAYS)
    assert without.on(CHRISTMAS) == DayHours((), "holiday", "Christmas Day")
    assert Hours(WEEK, (SUMMER,)).on(CHRISTMAS) == DayHours(LONG, "season", "Summer")
    assert Hours(WEEK).on(CHRISTMAS) == DayHours(NINE_TO_FIVE)
    assert Hours().on(CHRISTMAS).spans == ()


@pytest.mark.parametrize(
    ("effect", "spans", "found"),
    [
        ("closed", (), DayHours((), "holiday", "Christmas Day")),
        ("spans", SHORT, DayHours(SHORT, "holiday", "Christmas Day")),
        ("usual", (), DayHours(NINE_TO_FIVE)),
    ],
)
def test_what_happens_on_a_holiday(effect, spans, found):
    assert Hours(WEEK, (), HolidayRule("NZ", "", effect, spans)).on(CHRISTMAS) == found


def test_holidays_are_the_subdivisions_and_known_by_name():
    assert holidays_of("NZ", "AUK", 2027)[date(2027, 2, 1)] == "Auckland Anniversary Day"
    assert date(2027, 2, 1) not in holidays_of("NZ", "", 2027)
    assert holidays_of("XX", "", 2027) == {}, "a calendar that nobody knows closes nothing"


def test_a_yearly_season_goes_over_new_year_and_one_of_a_year_goes_before_it():
    days = [date(2027, 11, 30), date(2027, 12, 1), date(2028, 2, 28), date(2028, 2, 29)]
    assert [SUMMER.has(day) for day in days] == [False, True, True, False]
    dated = Season("Works", date(2028, 1, 10), date(2028, 1, 20), False, ((),) * 7)
    hours = Hours(WEEK, (SUMMER, dated))
    assert hours.on(date(2028, 1, 15)) == DayHours((), "season", "Works")
    assert hours.on(date(2029, 1, 15)).label == "Summer"


def test_a_night_that_began_goes_on_into_a_day_that_is_closed():
    night = tuple(WeeklySpan(weekday, time(22), time(2)) for weekday in range(7))
    hours = Hours(night, exceptions={CHRISTMAS: DayHours((), "exception", "Quiet")})
    noon = datetime(2027, 12, 24, 12, tzinfo=UTC)
    found = list(hours.spans(ZoneInfo("UTC"), noon, noon + timedelta(days=3)))
    assert [span.start.day for span in found] == [24, 26]
    assert found[0].end == datetime(2027, 12, 25, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("", ""),
        ("closed", ""),
        ("9-17", "09:00-17:00"),
        ("13:00–17:30, 9 to 12", "09:00-12:00, 13:00-17:30"),
        ("22-2 and 8.30-9", "08:30-09:00, 22:00-02:00"),
        ("0-24", "00:00-00:00"),
        ("24h", "00:00-00:00"),
    ],
)
def test_spans_as_people_write_them(written, kept):
    assert read_spans(written) == kept
    assert read_spans(kept) == kept


@pytest.mark.parametrize("nonsense", ["nine", "9", "25-26", "9:70-10", "9-12-15", "24:30-3"])
def test_what_is_no_time_of_day_is_refused(nonsense):
    with pytest.raises(NotSpans):
        read_spans(nonsense)


@given(st.text(max_size=30))
def test_whatever_is_written_is_kept_in_the_notation_or_refused(text):
    try:
        kept = read_spans(text)
    except NotSpans:
        return
    assert read_spans(kept) == kept
    spans_from(kept)


# --- From the database --------------------------------------------------------------------------


def rules_of(resource):
    return rules_for(workspace_id=resource.workspace_id, resource_ids=[resource.pk])[resource.pk]


@pytest.mark.django_db
def test_a_resources_own_replace_its_locations_level_by_level():
    room, twin = (make_room(location__timezone="UTC") for _ in range(2))
    twin.location = room.location
    twin.workspace_id = room.workspace_id
    place = room.location
    OpeningException.objects.create(location=place, day=CHRISTMAS, spans="", label="Shut")
    OpeningException.objects.create(location=place, day=date(2027, 12, 24), spans="", label="Eve")
    OpeningException.objects.create(resource=room, day=CHRISTMAS, spans="10:00-12:00", label="Open")
    HolidayCalendar.objects.create(location=place, country="NZ", effect="closed")
    HolidayCalendar.objects.create(resource=room, country="NZ", effect="usual")
    weekdays = dict.fromkeys(
        ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        "06:00-23:00",
    )
    SeasonRow.objects.create(location=place, name="Summer", first_day=date(2027, 12, 1),
                             last_day=date(2028, 2, 28), **weekdays)  # fmt: skip
    boxing_day, january = date(2027, 12, 26), date(2028, 1, 15)

    here = hours_of(location_id=place.pk)
    assert [here.on(d).label for d in (CHRISTMAS, boxing_day, january)] == [
        "Shut", "Boxing Day", "Summer",
    ]  # fmt: skip
    own = rules_of(room).hours
    assert own.on(CHRISTMAS) == DayHours(SHORT, "exception", "Open")
    assert own.on(date(2027, 12, 24)).label == "Eve", "the place's other exceptions stay"
    assert own.on(boxing_day).source == "season", "its own calendar says: as usual"

    room.opening_hours.create(weekday=january.weekday(), opens_at=time(9), closes_at=time(17))
    own = hours_of(location_id=place.pk, resource_id=room.pk)
    assert own.on(january) == DayHours(NINE_TO_FIVE), "its own timetable has no seasons but its own"
    SeasonRow.objects.create(resource=room, name="Own", yearly=True, first_day=january,
                             last_day=january, **weekdays)  # fmt: skip
    assert rules_of(room).hours.on(january) == DayHours(LONG, "season", "Own")


@pytest.mark.django_db
def test_the_rules_are_one_query_and_a_year_of_days_is_none():
    room = make_room()
    for day in range(1, 29):
        OpeningException.objects.create(location=room.location, day=date(2027, 2, day))
    HolidayCalendar.objects.create(location=room.location, country="DE", subdivision="BY")
    with CaptureQueriesContext(connection) as captured:
        hours = rules_of(room).hours
        shown = days_from(hours, date(2027, 1, 1), 365)
    assert len(captured.captured_queries) == 1
    assert sum(not day.hours.spans for day in shown) == 28 + 12
    assert "holiday: Corpus Christi" in {day.why for day in shown}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda place, _: [OpeningException(location=place, day=CHRISTMAS),
         OpeningException(location=place, day=CHRISTMAS)], "opening_exception_once_at_location"),
        (lambda _, room: [OpeningException(resource=room, day=CHRISTMAS),
         OpeningException(resource=room, day=CHRISTMAS)], "opening_exception_once_at_resource"),
        (lambda place, room: [OpeningException(location=place, resource=room, day=CHRISTMAS)],
         "opening_exception_of_one_owner"),
        (lambda place, _: [OpeningException(location=place, day=CHRISTMAS, spans="9-12")],
         "opening_exception_spans"),
        (lambda place, _: [HolidayCalendar(location=place, country="NZ"),
         HolidayCalendar(location=place, country="DE")], "holiday_calendar_once_at_location"),
        (lambda place, _: [HolidayCalendar(location=place, country="nz")],
         "holiday_calendar_country"),
        (lambda place, _: [HolidayCalendar(location=place, country="NZ", effect="spans")],
         "holiday_calendar_effect"),
        (lambda place, _: [season(place, "2027-03-01", "2027-02-01")], "season_days_in_order"),
        (lambda place, _: [season(place, "2027-02-01", "2027-03-01"),
         season(place, "2027-03-01", "2027-04-01")], "season_dates_no_overlap"),
        (lambda place, _: [season(place, "2027-11-01", "2028-02-01", yearly=True),
         season(place, "2020-02-01", "2020-04-01", yearly=True)], "season_yearly_no_overlap"),
        (lambda place, _: [season(place, "2027-02-01", "2027-04-01", yearly=True),
         season(place, "2020-11-01", "2020-03-01", yearly=True)], "season_yearly_no_overlap"),
        (lambda place, _: [season(place, "2027-02-01", "2027-03-01", monday="noon")],
         "season_spans"),
    ],
)  # fmt: skip
def test_what_must_not_be_is_refused_by_the_database(make, rule):
    room = make_room()
    *before, last = make(room.location, room)
    for row in before:
        row.save()
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        last.save()
    assert refused.value.__cause__.diag.constraint_name == rule


def season(place, first, last, **more):
    return SeasonRow(location=place, name="Season", first_day=first, last_day=last, **more)


@pytest.mark.django_db
def test_seasons_that_only_meet_or_belong_to_others_are_taken():
    place, other = LocationFactory(), LocationFactory()
    season(place, "2027-11-01", "2028-02-01", yearly=True).save()
    season(place, "2020-02-02", "2020-10-31", yearly=True).save()
    season(place, "2027-01-01", "2027-03-01").save()
    season(other, "2027-01-01", "2027-03-01").save()
    assert SeasonRow.objects.count() == 4


@pytest.mark.django_db
def test_calendars_in_use_are_read_before_a_claim_asks():
    HolidayCalendar.objects.create(location=LocationFactory(), country="DE", subdivision="BY")
    holidays_of.cache_clear()
    warm_calendars()
    assert holidays_of.cache_info().currsize == 3
    before = holidays_of.cache_info().misses
    assert holidays_of("DE", "BY", datetime.now(UTC).year)
    assert holidays_of.cache_info().misses == before


# --- Said and claimed ---------------------------------------------------------------------------


@pytest.mark.django_db
def test_what_keeps_it_closed_is_named():
    room = make_room(location__timezone="UTC", horizon_days=700)
    day = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=9)
    window = Window(day, day + timedelta(hours=1))

    def said():
        rules = rules_of(room)
        return broken_rules(rules, window, quantity=1, now=day - timedelta(days=2))

    assert said() == []
    row = OpeningException.objects.create(location=room.location, day=day.date(), label="Staff day")
    named = f"{day:%a} {day.day} {day:%b}"
    assert said() == [("hours", f"It is closed on {named}: Staff day.")]
    row.spans = "14:00-16:00"
    row.save()
    assert said() == [("hours", f"It is open 14:00–16:00 on {named}: Staff day.")]
    found = availability(rules=[rules_of(room)], start=day, end=day + timedelta(hours=8))[room.pk]
    assert [(f.start.hour, f.end.hour) for f in found.free] == [(14, 16)]
