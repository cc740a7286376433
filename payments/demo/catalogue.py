"""What the demo's business has: two houses and somebody in Lisbon; what can be booked there."""

from dataclasses import dataclass, field
from datetime import time
from typing import Any

from django.core.files.base import ContentFile

from bookings.models import Category, Location, OpeningHours, PriceRule, Resource
from members.models import Workspace
from payments.demo.pictures import Scene, draw

_PER_HOUR = "Per hour"
MINUTE = 60
HOUR = 60 * MINUTE


@dataclass(frozen=True)
class Room:
    """One resource of the demo; `hourly`, `nightly` and `flat` are in cents.

    `rules` are any fields of the resource.
    """

    name: str
    category: str
    seats: int | None
    hourly: int
    description: str
    scene: Scene
    flat: int = 0
    nightly: int = 0
    rules: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class House:
    """One location and its rooms; weekday spans apply Monday to Friday."""

    name: str
    slug: str
    address: str
    directions: str
    timezone: str
    weekdays: tuple[time, time]
    weekend: tuple[time, time] | None
    rooms: tuple[Room, ...]


HOUSES = (
    House(
        name="Britomart",
        slug="britomart",
        address="12 Galway Street\nAuckland 1010",
        directions="The blue door beside the bakery; ring for Harbour Rooms, second floor.",
        timezone="Pacific/Auckland",
        weekdays=(time(7), time(21)),
        weekend=(time(9), time(17)),
        rooms=(
            Room(
                "Rangitoto",
                "Meeting room",
                8,
                4500,
                "Corner room with a view of the island, a long table and a screen that works.",
                Scene("meeting", "#dfe6dc", "#2f6b57"),
            ),
            Room(
                "Motutapu",
                "Meeting room",
                6,
                3800,
                "Round table for six, whiteboard wall, windows that open.",
                Scene("meeting", "#ece4d4", "#8a5a3b"),
            ),
            Room(
                "Waiheke",
                "Meeting room",
                12,
                6500,
                "The big one: boardroom table, two screens, camera and room microphone.",
                Scene("board", "#dde3e8", "#34506b"),
                flat=2000,
            ),
            Room(
                "Phone box",
                "Focus booth",
                1,
                900,
                "A quiet box for a call or an hour of thinking. Desk, lamp, socket.",
                Scene("booth", "#e6dfe8", "#5b4a73"),
                rules={"min_seconds": 30 * MINUTE, "max_seconds": 2 * HOUR},
            ),
            Room(
                "City bikes, Britomart",
                "Bike",
                None,
                1200,
                "Upright bikes with a basket. A lock comes with each; helmets if you need them.",
                Scene("bike", "#dbe7ea", "#2b6777"),
                rules={"mode": "pooled", "capacity": 6},
            ),
        ),
    ),
    House(
        name="Ponsonby Studios",
        slug="ponsonby",
        address="88 Richmond Road\nAuckland 1021",
        directions="Through the courtyard, first stairs on the left.",
        timezone="Pacific/Auckland",
        weekdays=(time(8), time(22)),
        weekend=(time(8), time(20)),
        rooms=(
            Room(
                "Kōwhai studio",
                "Studio",
                14,
                5500,
                "Sprung floor and mirrors along one wall. Shoes stay at the door.",
                Scene("studio", "#f0e8cf", "#b98a1d"),
                rules={
                    "buffer_before_seconds": 15 * MINUTE,
                    "buffer_after_seconds": 30 * MINUTE,
                },
            ),
            Room(
                "Pōhutukawa studio",
                "Studio",
                20,
                7200,
                "Our largest floor, with a sound system and soft light after sunset.",
                Scene("studio", "#f1dfd9", "#a8402f"),
                rules={"buffer_after_seconds": 15 * MINUTE},
            ),
            Room(
                "Workshop",
                "Workshop",
                10,
                4000,
                "Workbenches, good light, a sink, and paint on the floor already.",
                Scene("bench", "#e3e7da", "#5d7038"),
                flat=1500,
                rules={"min_seconds": 2 * HOUR, "notice_seconds": 2 * HOUR},
            ),
            Room(
                "Reading corner",
                "Focus booth",
                2,
                0,
                "Two armchairs by the window. Free for members, an hour at a time.",
                Scene("booth", "#dfe7e6", "#3d6f73"),
                rules={"min_seconds": 30 * MINUTE, "max_seconds": HOUR},
            ),
            Room(
                "City bikes, Ponsonby",
                "Bike",
                None,
                1200,
                "The same bikes, in the courtyard. Bring them back to where you took them.",
                Scene("bike", "#e9e6d6", "#6d7b2f"),
                rules={"mode": "pooled", "capacity": 5},
            ),
            Room(
                "Court 1",
                "Court",
                None,
                4000,
                "One badminton court under the big roof. Half price until noon.",
                Scene("court", "#e4dccf", "#3c6e8f"),
            ),
            Room(
                "The loft",
                "Guest room",
                None,
                0,
                "A bed under the roof for two, with its own stairs and a kettle.",
                Scene("loft", "#efe6dc", "#80556b"),
                nightly=18000,
                rules={"booking_unit": "day", "max_days": 7},
            ),
        ),
    ),
    House(
        name="From Lisbon, by video",
        slug="lisbon",
        address="A link comes with the confirmation",
        directions="Inês calls you. Her hours are those of Lisbon; yours stand beside them.",
        timezone="Europe/Lisbon",
        weekdays=(time(9), time(17)),
        weekend=None,
        rooms=(
            Room(
                "Inês Duarte, acoustics",
                "Consultant",
                None,
                12000,
                "An hour about how your room sounds and what can be done about it.",
                Scene("desk", "#ebe2d3", "#3f5f8a"),
                rules={"max_seconds": 2 * HOUR, "notice_seconds": 4 * HOUR},
            ),
        ),
    ),
)


def build(workspace: Workspace) -> list[Resource]:
    """Write the whole catalogue; returns what can be booked by itself, in order."""
    categories: dict[str, Category] = {}
    rooms: list[Resource] = []
    for house in HOUSES:
        location = _location(workspace, house)
        for room in house.rooms:
            if room.category not in categories:
                categories[room.category] = Category.objects.create(
                    workspace=workspace,
                    name=room.category,
                    slug=room.category.lower().replace(" ", "-"),
                )
            rooms.append(_room(workspace, location, categories[room.category], room, len(rooms)))
    return rooms


def _location(workspace: Workspace, house: House) -> Location:
    location = Location.objects.create(
        workspace=workspace,
        name=house.name,
        slug=house.slug,
        address=house.address,
        directions=house.directions,
        timezone=house.timezone,
    )
    spans = [(day, house.weekdays) for day in range(5)]
    spans += [(day, house.weekend) for day in (5, 6) if house.weekend]
    OpeningHours.objects.bulk_create(
        OpeningHours(location=location, weekday=day, opens_at=opens, closes_at=closes)
        for day, (opens, closes) in spans
    )
    return location


def _room(
    workspace: Workspace, location: Location, category: Category, room: Room, position: int
) -> Resource:
    slug = _slug(room.name)
    resource = Resource(
        workspace=workspace,
        location=location,
        category=category,
        name=room.name,
        slug=slug,
        description=room.description,
        picture_alt=f"{room.name}, a drawing",
        seats=room.seats,
        position=position,
        **{"min_seconds": HOUR, "max_seconds": 8 * HOUR} | room.rules,
    )
    resource.picture.save(f"{slug}.webp", ContentFile(draw(room.scene)), save=False)
    resource.save()
    if room.hourly:
        PriceRule.objects.create(
            resource=resource, kind="per_hour", amount_minor=room.hourly, label=_PER_HOUR
        )
    if room.nightly:
        PriceRule.objects.create(
            resource=resource, kind="per_day", amount_minor=room.nightly, label="Per night"
        )
    if room.flat:
        PriceRule.objects.create(
            resource=resource, kind="per_booking", amount_minor=room.flat, label="Set-up"
        )
    return resource


def _slug(name: str) -> str:
    plain = name.lower().replace("ō", "o").replace("ū", "u").replace("ê", "e").replace(",", "")
    return "-".join(plain.split())
