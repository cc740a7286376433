"""The page of what is booked by days and nights: dates from and to, one cell a day."""

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from bookings.models import HolidayCalendar, OpeningException
from holds.claims import LineRequest
from tests.core.support import hold
from tests.factories import BlockFactory, make_room
from tests.pages.support import address, at_param, form_to, send, text

pytestmark = pytest.mark.django_db
AUCKLAND = ZoneInfo("Pacific/Auckland")
DAY = timedelta(days=1)


@pytest.fixture
def cabin() -> Any:
    return make_room(name="Cabin", booking_unit="day", min_days=1, max_days=10, price=100)


def day(ahead: int = 10) -> datetime:
    """Check-in, so many days ahead."""
    here = datetime.now(AUCKLAND) + ahead * DAY
    return here.replace(hour=15, minute=0, second=0, microsecond=0)


def dates(first: datetime, last: datetime) -> dict[str, str]:
    return {"arrive": f"{first:%Y-%m-%d}", "leave": f"{last:%Y-%m-%d}"}


def test_from_one_date_to_another_and_held(client: Client, cabin: Any) -> None:
    first, last = day(), day() + 3 * DAY
    answer = client.get(address(cabin), dates(first, last))
    words = text(answer)
    said = f"{first:%a} {first.day} {first:%b}, 15:00–{last:%a} {last.day} {last:%b}, 11:00"
    assert said in words
    assert "3 nights" in words
    assert f'name="arrive" type="date" value="{first:%Y-%m-%d}"' in answer.content.decode()
    assert f'name="leave" type="date" value="{last:%Y-%m-%d}"' in answer.content.decode()
    assert answer.context["choice"].day == first.date(), "the first night is the day that is shown"
    chosen = [c.chosen for column in answer.context["week"].days for c in column.cells]
    assert chosen == [True] * 3 + [False] * 4
    held = send(client, form_to(answer, "/hold/"))
    assert held.status_code == 303
    assert said in text(client.get(held.url))


def test_a_day_that_is_clicked_keeps_the_length(client: Client, cabin: Any) -> None:
    first = day()
    query = dates(first, first + 2 * DAY) | {
        "at": at_param((first + DAY).astimezone(ZoneInfo("UTC")))
    }
    assert "2 nights" in text(client.get(address(cabin), query))
    later = {"at": query["at"], "minutes": str(44 * 60)}
    assert "2 nights" in text(client.get(address(cabin), later))


def test_what_is_too_long_is_shortened_to_what_is_free(client: Client, cabin: Any) -> None:
    first = day()
    BlockFactory(resource=cabin, during=(first + 2 * DAY, first + 3 * DAY))
    words = text(client.get(address(cabin), dates(first, first + 5 * DAY)))
    assert "Only 2 nights are free from then." in words
    taken = text(client.get(address(cabin), dates(first + 2 * DAY, first + 3 * DAY)))
    assert "That time is not free" in taken


def test_one_cell_a_day_each_in_its_state(client: Client, cabin: Any) -> None:
    first = day()
    OpeningException.objects.create(resource=cabin, day=first.date() + DAY, label="Chimney")
    hold(LineRequest(cabin.pk, first + 2 * DAY, (first + 3 * DAY).replace(hour=11)))
    answer = client.get(address(cabin), {"from": f"{first:%Y-%m-%d}"})
    cells = [cell for column in answer.context["week"].days for cell in column.cells]
    assert [cell.state for cell in cells] == ["", "x", "t", "", "", "", ""]
    assert [cell.label for cell in cells if cell.start] == ["15:00"] * 5
    assert "closed: Chimney" in text(answer)


def test_the_cards_say_nights_and_a_search_by_hours_passes_it_by(
    client: Client, cabin: Any
) -> None:
    home = f"/w/{cabin.workspace.slug}/"
    assert "/ 1 night" in text(client.get(home))
    assert "Cabin" not in text(client.get(home, {"minutes": "60"}))
    found = client.get(home, {"minutes": "1440", "when": f"{day():%Y-%m-%d}"})
    assert "Cabin" in text(found)
    assert form_to(client.get(found.context["catalogue"].cards[0].query.join([address(cabin), ""])),
                   "/hold/")  # fmt: skip


def test_a_holiday_is_named_where_it_closes(client: Client) -> None:
    room = make_room(horizon_days=730)
    HolidayCalendar.objects.create(location=room.location, country="NZ", effect="closed")
    christmas = datetime(datetime.now(AUCKLAND).year + 1, 12, 25, tzinfo=AUCKLAND)
    words = text(client.get(address(room), {"day": f"{christmas:%Y-%m-%d}"}))
    assert f"{christmas:%a} 25 Dec: closed: Christmas Day" in words


def test_whole_days_end_on_the_last_of_them(client: Client) -> None:
    hall = make_room(booking_unit="day", day_starts_at=time(0), day_ends_at=time(0))
    first, last = day(), day() + DAY
    answer = client.get(address(hall), dates(first, last))
    assert "2 days" in text(answer)
    assert f'name="leave" type="date" value="{last:%Y-%m-%d}"' in answer.content.decode()
