"""How far away a location is: as the crow flies, good to half a percent."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt

from django.db.models import Case, IntegerField, Value, When

from bookings.models import Location

EARTH_METRES = 6_371_009
# Sorted behind every place on earth: where it is, nobody has said.
NOWHERE_METRES = 2**31 - 1
_POINT = re.compile(r"\s*(-?\d{1,3}(?:\.\d{1,12})?)\s*,\s*(-?\d{1,3}(?:\.\d{1,12})?)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Point:
    """Degrees; north and east are positive."""

    latitude: float
    longitude: float

    def metres_to(self, other: "Point") -> int:
        """The haversine distance on a sphere."""
        north = radians(other.latitude - self.latitude)
        east = radians(other.longitude - self.longitude)
        both = cos(radians(self.latitude)) * cos(radians(other.latitude))
        half = sin(north / 2) ** 2 + both * sin(east / 2) ** 2
        return round(2 * EARTH_METRES * asin(min(1.0, sqrt(half))))


def point_from(text: str) -> Point | None:
    """ "-36.8485,174.7633", or None for what is no point on earth."""
    match = _POINT.fullmatch(text)
    if match is None:
        return None
    point = Point(float(match[1]), float(match[2]))
    return point if abs(point.latitude) <= 90 and abs(point.longitude) <= 180 else None


def metres_from(here: Point, locations: Iterable[Location]) -> dict[object, int]:
    """Distances by location id, of those that say where they are."""
    return {
        place.pk: here.metres_to(Point(place.latitude, place.longitude))
        for place in locations
        if place.latitude is not None and place.longitude is not None
    }


def distance(metres: dict[object, int]) -> Case:
    """The distance of a resource's location, as something that rows can be ordered by."""
    return Case(
        *[When(location_id=pk, then=Value(far)) for pk, far in metres.items()],
        default=Value(NOWHERE_METRES),
        output_field=IntegerField(),
    )


def said(metres: int) -> str:
    """800 m; 3.4 km; 120 km."""
    if metres < 1000:
        return f"{max(10, round(metres, -1))} m"
    return f"{metres / 1000:.1f} km" if metres < 10_000 else f"{metres / 1000:.0f} km"
