"""Calendars elsewhere: connecting, writing bookings into them, reading busy times from them."""
