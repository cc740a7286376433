"""What is busy according to an iCalendar file: exact windows, whoever wrote it."""

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bookings.calendars import recurring
from bookings.windows import Window

AUCKLAND = ZoneInfo("Pacific/Auckland")
MARCH = Window(datetime(2027, 3, 1, tzinfo=UTC), datetime(2027, 4, 1, tzinfo=UTC))


def ics(*events: str, head: str = "") -> str:
    """A file with these components; an event's lines without its frame are framed."""
    framed = [
        each if each.startswith("BEGIN:") else f"BEGIN:VEVENT\n{each}\nEND:VEVENT"
        for each in events
    ]
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", head, *framed, "END:VCALENDAR"]
    return "\r\n".join("\n".join(line for line in lines if line).split("\n")) + "\r\n"


def found(*events: str, head: str = "", within: Window = MARCH, **options) -> recurring.Busy:
    read = recurring.read(ics(*events, head=head))
    return recurring.busy(read, within=within, zone=AUCKLAND, **options)


def told(*events: str, **options) -> list[str]:
    """The busy windows in UTC, shortly."""
    return [
        f"{w.start:%d %H:%M}-{w.end:%d %H:%M}" if w.start.date() != w.end.date()
        else f"{w.start:%d %H:%M}-{w.end:%H:%M}"
        for w in found(*events, **options).windows
    ]  # fmt: skip


def test_an_event_with_an_end_with_a_duration_and_with_neither() -> None:
    assert told("UID:a\nDTSTART:20270302T090000Z\nDTEND:20270302T100000Z") == ["02 09:00-10:00"]
    assert told("UID:a\nDTSTART:20270302T090000Z\nDURATION:PT90M") == ["02 09:00-10:30"]
    assert told("UID:a\nDTSTART:20270302T090000Z") == []
    assert told("UID:a\nDTSTART:20270302T090000Z\nDTEND:20270302T090000Z") == []


def test_what_is_outside_of_the_window_is_not_told_and_what_reaches_into_it_is_whole() -> None:
    assert told(
        "UID:a\nDTSTART:20270201T090000Z\nDTEND:20270201T100000Z",
        "UID:b\nDTSTART:20270228T220000Z\nDTEND:20270301T020000Z",
        "UID:c\nDTSTART:20270401T000000Z\nDTEND:20270401T020000Z",
    ) == ["28 22:00-01 02:00"]


def test_days_and_floating_times_lie_in_the_locations_zone_unless_the_file_has_one() -> None:
    day = "UID:a\nDTSTART;VALUE=DATE:20270310"
    floating = "UID:b\nDTSTART:20270320T090000\nDTEND:20270320T100000"
    assert told(day, floating) == ["09 11:00-10 11:00", "19 20:00-21:00"]
    berlin = {"head": "X-WR-TIMEZONE:Europe/Berlin"}
    assert told(day, floating, **berlin) == ["09 23:00-10 23:00", "20 08:00-09:00"]


def test_days_until_another_are_whole_days() -> None:
    # The clocks go back in Auckland on the 4th of April: the day is an hour longer.
    within = Window(MARCH.start, datetime(2027, 5, 1, tzinfo=UTC))
    three = "UID:a\nDTSTART;VALUE=DATE:20270403\nDTEND;VALUE=DATE:20270405"
    (window,) = found(three, within=within).windows
    assert window == Window(
        datetime(2027, 4, 2, 11, tzinfo=UTC), datetime(2027, 4, 4, 12, tzinfo=UTC)
    )


def test_what_is_transparent_or_cancelled_is_free_and_tentative_is_busy() -> None:
    at = "DTSTART:20270302T{}0000Z\nDURATION:PT1H\n"
    assert told(
        "UID:a\n" + at.format("01") + "TRANSP:TRANSPARENT",
        "UID:b\n" + at.format("03") + "STATUS:CANCELLED",
        "UID:c\n" + at.format("05") + "STATUS:TENTATIVE",
        "UID:d\n" + at.format("07") + "TRANSP:OPAQUE\nSTATUS:CONFIRMED",
    ) == ["02 05:00-06:00", "02 07:00-08:00"]


def test_a_series_repeats_by_its_own_clock() -> None:
    # Summer time begins in Berlin on the 28th of March.
    weekly = (
        "UID:a\nDTSTART;TZID=Europe/Berlin:20270308T090000\n"
        "DTEND;TZID=Europe/Berlin:20270308T100000\nRRULE:FREQ=WEEKLY"
    )
    assert told(weekly) == [
        "08 08:00-09:00", "15 08:00-09:00", "22 08:00-09:00", "29 07:00-08:00",
    ]  # fmt: skip


def test_times_in_utc_repeat_by_the_clock_of_a_zone_that_the_file_names() -> None:
    weekly = "UID:a\nDTSTART:20270308T080000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY"
    assert told(weekly)[-1] == "29 08:00-09:00"
    assert told(weekly, head="X-WR-TIMEZONE:Europe/Berlin")[-1] == "29 07:00-08:00"
    assert told(weekly, head="X-WR-TIMEZONE:Nowhere")[-1] == "29 08:00-09:00"


def test_a_series_without_some_days_and_with_another() -> None:
    series = (
        "UID:a\nDTSTART:20270302T090000Z\nDTEND:20270302T100000Z\nRRULE:FREQ=DAILY;COUNT=4\n"
        "EXDATE:20270303T090000Z,20270304T090000Z\nRDATE:20270310T120000Z"
    )
    assert told(series) == ["02 09:00-10:00", "05 09:00-10:00", "10 12:00-13:00"]


def test_exceptions_are_moved_cancelled_or_made_transparent() -> None:
    series = "UID:a\nDTSTART:20270302T090000Z\nDTEND:20270302T100000Z\nRRULE:FREQ=DAILY;COUNT=4"
    moved = (
        "UID:a\nRECURRENCE-ID:20270303T090000Z\nDTSTART:20270303T150000Z\nDTEND:20270303T170000Z"
    )
    gone = (
        "UID:a\nRECURRENCE-ID:20270304T090000Z\nSTATUS:CANCELLED\n"
        "DTSTART:20270304T090000Z\nDTEND:20270304T100000Z"
    )
    free = (
        "UID:a\nRECURRENCE-ID:20270305T090000Z\nTRANSP:TRANSPARENT\n"
        "DTSTART:20270305T090000Z\nDTEND:20270305T100000Z"
    )
    assert told(series, moved, gone, free) == ["02 09:00-10:00", "03 15:00-17:00"]


def test_an_exception_that_was_moved_into_the_window_from_outside() -> None:
    series = "UID:a\nDTSTART:20270201T090000Z\nDTEND:20270201T100000Z\nRRULE:FREQ=DAILY;COUNT=3"
    moved = "UID:a\nRECURRENCE-ID:20270202T090000Z\nDTSTART:20270315T090000Z\nDURATION:PT1H"
    alone = "UID:b\nRECURRENCE-ID:20270316T090000Z\nDTSTART:20270316T100000Z\nDURATION:PT1H"
    assert told(series, moved, alone) == ["15 09:00-10:00", "16 10:00-11:00"]


def test_a_series_of_days() -> None:
    days = "UID:a\nDTSTART;VALUE=DATE:20270302\nRRULE:FREQ=WEEKLY;COUNT=2"
    assert told(days) == ["01 11:00-02 11:00", "08 11:00-09 11:00"]


CUSTOM = """BEGIN:VTIMEZONE
TZID:Our Office
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0545
TZOFFSETTO:+0545
END:STANDARD
END:VTIMEZONE"""


def test_zones_of_the_files_own_of_windows_and_unknown_ones() -> None:
    custom = "UID:a\nDTSTART;TZID=Our Office:20270302T090000\nDURATION:PT1H"
    assert told(CUSTOM, custom) == ["02 03:15-04:15"]
    outlook = "UID:b\nDTSTART;TZID=W. Europe Standard Time:20270302T090000\nDURATION:PT1H"
    assert told(outlook) == ["02 08:00-09:00"]
    weekly = custom.replace("DURATION", "RRULE:FREQ=WEEKLY;COUNT=2\nDURATION")
    assert told(CUSTOM, weekly) == ["02 03:15-04:15", "09 03:15-04:15"]
    nowhere = "UID:c\nDTSTART;TZID=Nowhere:20270302T090000\nDURATION:PT1H"
    assert told(nowhere) == ["01 20:00-21:00"]  # as the location's clock has it


def test_busy_periods_of_a_list() -> None:
    listed = (
        "BEGIN:VFREEBUSY\nUID:a\nDTSTART:20270301T000000Z\nDTEND:20270401T000000Z\n"
        "FREEBUSY:20270302T090000Z/20270302T100000Z,20270303T090000Z/PT2H\n"
        "FREEBUSY;FBTYPE=FREE:20270304T090000Z/PT1H\n"
        "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20270305T090000Z/PT1H\nEND:VFREEBUSY"
    )
    assert told(listed) == ["02 09:00-10:00", "03 09:00-11:00", "05 09:00-10:00"]


def test_windows_that_meet_or_overlap_are_one() -> None:
    assert told(
        "UID:a\nDTSTART:20270302T090000Z\nDURATION:PT1H",
        "UID:b\nDTSTART:20270302T093000Z\nDURATION:PT1H",
        "UID:c\nDTSTART:20270302T103000Z\nDURATION:PT1H",
    ) == ["02 09:00-11:30"]


def test_our_own_events_are_not_busy() -> None:
    mine = "UID:x@surehold\nDTSTART:20270302T090000Z\nDURATION:PT1H"
    other = "UID:y@surehold\nDTSTART:20270303T090000Z\nDURATION:PT1H"
    assert told(mine, other, ours={"x@surehold"}) == ["03 09:00-10:00"]


def test_what_is_malformed_is_counted_and_hides_nothing() -> None:
    busy = found(
        "UID:a\nDTSTART:20270302T090000Z\nDURATION:PT1H",
        "UID:b\nDTSTART:soon\nDURATION:PT1H",
        "UID:c\nSUMMARY:no start",
        "UID:d\nDTSTART:20270305T090000Z\nDTEND:20270304T090000Z",
        "UID:e\nDTSTART:20270306T090000Z\nDURATION:PT1H\nRRULE:FREQ=SOMETIMES",
        "DTSTART:20270307T090000Z\nDURATION:PT1H",
    )
    assert [w.start.day for w in busy.windows] == [2, 7]
    assert busy.skipped == 4


def test_garbage_is_no_calendar() -> None:
    for garbage in ("", "<html>Sign in</html>", "BEGIN:VCALENDAR", "\0\0", "BEGIN:VEVENT"):
        with pytest.raises(recurring.Unreadable):
            recurring.read(garbage)
    assert told() == []


_MANY = ",".join(map(str, range(60)))
_ALL_SECONDS = f"BYHOUR={','.join(map(str, range(24)))};BYMINUTE={_MANY};BYSECOND={_MANY}"


@pytest.mark.parametrize(
    ("rule", "most", "skipped", "cut"),
    [
        ("FREQ=MINUTELY", 1000, 0, 1),
        ("FREQ=SECONDLY", 1000, 0, 1),
        ("FREQ=MINUTELY;COUNT=4000000", 1000, 0, 1),
        ("FREQ=MINUTELY;COUNT=1000000", 0, 0, 0),
        ("FREQ=MINUTELY;BYMINUTE=7", 0, 1, 0),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", 0, 1, 0),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=31", 0, 1, 0),
        ("FREQ=DAILY;BYSETPOS=9", 0, 1, 0),
        ("FREQ=SECONDLY;COUNT=60", 0, 0, 0),
        (f"FREQ=DAILY;{_ALL_SECONDS}", 0, 1, 0),
        (f"FREQ=YEARLY;BYMONTH=1,2,3,4,5;{_ALL_SECONDS}", 0, 1, 0),
        (f"FREQ=DAILY;COUNT=10;{_ALL_SECONDS}", 0, 1, 0),
    ],
)
def test_a_rule_that_repeats_without_end_is_bounded(
    rule: str, most: int, skipped: int, cut: int
) -> None:
    began = time.monotonic()
    busy = found(f"UID:a\nDTSTART:20200101T000000Z\nDURATION:PT1S\nRRULE:{rule}")
    assert (busy.skipped, busy.cut) == (skipped, cut)
    assert bool(busy.windows) == bool(most)
    assert time.monotonic() - began < 20  # hours without the bounds


def test_several_times_within_a_period_are_followed_and_bounded_as_well() -> None:
    thrice = "UID:a\nDTSTART:20270301T080000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYHOUR=8,12,18"
    assert len(found(thrice).windows) == 93
    began = time.monotonic()
    for rule in (
        f"FREQ=HOURLY;BYMINUTE={_MANY};BYSECOND={_MANY}",
        f"FREQ=MINUTELY;BYSECOND={_MANY}",
    ):
        often = f"UID:a\nDTSTART:20270301T080000Z\nDURATION:PT1S\nRRULE:{rule}"
        busy = found(often)
        assert (busy.skipped, busy.cut) == (0, 1)
        (window,) = busy.windows
        assert window.duration.total_seconds() == recurring.MOST_OCCURRENCES
    assert time.monotonic() - began < 20


def test_an_hourly_rule_of_long_ago_is_exact() -> None:
    two_days = Window(MARCH.start, datetime(2027, 3, 1, 6, tzinfo=UTC))
    hourly = "UID:a\nDTSTART:20200101T001500Z\nDURATION:PT10M\nRRULE:FREQ=HOURLY;INTERVAL=2"
    assert told(hourly, within=two_days) == ["01 00:15-00:25", "01 02:15-02:25", "01 04:15-04:25"]
    counted = hourly + ";COUNT=31381"
    last = Window(datetime(2027, 2, 28, tzinfo=UTC), datetime(2027, 3, 2, tzinfo=UTC))
    assert told(counted, within=last)[-1] == "28 00:15-00:25"


def test_a_daily_rule_of_long_ago_goes_on() -> None:
    daily = "UID:a\nDTSTART:19900101T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY"
    assert len(found(daily).windows) == 31


def test_what_is_kept_has_the_same_times_and_none_of_the_words() -> None:
    file = ics(
        CUSTOM,
        "UID:a\nSUMMARY:Doctor\nDTSTART;TZID=Our Office:20270302T090000\nDURATION:PT1H\n"
        "RRULE:FREQ=WEEKLY;COUNT=2\nDESCRIPTION;LANGUAGE=en:A long story\n that goes on\n"
        "ATTENDEE:mailto:ana@example.test\nBEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT5M\n"
        "DESCRIPTION:Now\nEND:VALARM\nTRANSP:OPAQUE\n"
        "X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-TITLE=Clinic:geo:1,2\n"
        "X-GOOGLE-CONFERENCE:https://meet.test/secret",
        head="X-WR-TIMEZONE:Europe/Berlin\nX-WR-CALNAME:Ana",
    )
    kept = recurring.bare(file)
    for word in (
        "Doctor",
        "story",
        "goes on",
        "ana@",
        "VALARM",
        "Now",
        "Clinic",
        "meet.test",
        "CALNAME",
    ):
        assert word not in kept
    assert "TRANSP:OPAQUE" in kept
    assert "X-WR-TIMEZONE:Europe/Berlin" in kept
    before, after = (
        recurring.busy(recurring.read(each), within=MARCH, zone=AUCKLAND) for each in (file, kept)
    )
    assert before == after
    assert len(after.windows) == 2
