"""What can be booked, and what has been. Rules that must never break are in `guards.py`."""

from bookings.models.add_ons import AddOn
from bookings.models.blocks import Block
from bookings.models.bookings import Booking, BookingEvent, Line
from bookings.models.calendar_events import CalendarEvent
from bookings.models.calendar_reading import CalendarItem, CalendarTask
from bookings.models.calendars import CalendarConnection, ConnectedResource
from bookings.models.changes import Change
from bookings.models.discounts import Discount, DiscountUse
from bookings.models.feeds import CalendarFeed
from bookings.models.hours import OpeningHours
from bookings.models.limits import BookingLimit
from bookings.models.occupancies import Occupancy
from bookings.models.places import Category, Location
from bookings.models.prices import PriceRule
from bookings.models.resources import DAY, HOUR, MINUTE, Resource
from bookings.models.series import Series
from bookings.models.timetables import HolidayCalendar, OpeningException, Season
from bookings.models.units import Unit, UnitAssignment
from bookings.models.visibility import ResourceGroup

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "AddOn",
    "Block",
    "Booking",
    "BookingEvent",
    "BookingLimit",
    "CalendarConnection",
    "CalendarEvent",
    "CalendarFeed",
    "CalendarItem",
    "CalendarTask",
    "Category",
    "Change",
    "ConnectedResource",
    "Discount",
    "DiscountUse",
    "HolidayCalendar",
    "Line",
    "Location",
    "Occupancy",
    "OpeningException",
    "OpeningHours",
    "PriceRule",
    "Resource",
    "ResourceGroup",
    "Season",
    "Series",
    "Unit",
    "UnitAssignment",
]
