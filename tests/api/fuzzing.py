"""schemathesis over every operation that the description has, against the real application.

Requests that fit the description and requests that do not, half of them aimed at what is there: a
room, a pool, holds, bookings with and without money, places in line. No answer may be a 5xx, and
each must be as described: status, content type, headers, body. What does not fit must be refused.
New operations are covered by being described.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bookings.models import Resource
from config.api import rfc3339
from members.models import ApiKey, Member
from tests.admin.support import confirmed, payment
from tests.api import conformance
from tests.api.client import Api, claim, line
from tests.factories import MemberFactory, at, make_add_on, make_api_key, make_pool, make_room

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    missing_required_header,
    ignored_auth,
]
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
BOTH = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@dataclass
class World:
    """What is there to be asked for: ids by the name of the path's parameter, and a key."""

    secret: str
    ids: dict[str, list[str]]
    answered: Counter[str] = field(default_factory=Counter)

    @property
    def resources(self) -> list[str]:
        return self.ids["resource_id"]


def make_world() -> World:
    """A workspace with a bit of everything, and a key that may do anything there."""
    room = make_room()
    shared = {"workspace": room.workspace, "location": room.location, "category": room.category}
    free, pool = make_room(**shared, price=0), make_pool(**shared)
    make_add_on(room, pool)
    key, secret = make_api_key(workspace=room.workspace)
    ApiKey.objects.filter(pk=key.pk).update(requests_per_minute=10**6)
    MemberFactory(email="a@b.test")
    paid = [_paid(room, hour) for hour in range(40, 46)]
    api = Api(secret)
    holds = [api.hold(room, hour, member={"email": "a@b.test"}) for hour in range(50, 54)]
    holds += [api.hold(free, 60), api.hold(pool, 60, lines=[line(pool, 60, quantity=2)])]
    places = [_waiting(api, room, hour) for hour in (50, 51)]
    return World(
        secret,
        {
            "resource_id": [str(each.id) for each in (room, free, pool)],
            "hold_id": [each["id"] for each in holds],
            "booking_id": [*paid, *(each["booking"]["id"] for each in holds)],
            "entry_id": places,
            "member_id": [str(pk) for pk in Member.objects.values_list("pk", flat=True)],
        },
    )


def _paid(room: Resource, hour: int) -> str:
    booking = confirmed(room, hour)
    payment(booking)
    return str(booking.pk)


def _waiting(api: Api, room: Resource, hour: int) -> str:
    wish = claim(room, hour)["lines"][0] | {"member": {"email": "a@b.test"}}
    return str(api.post("/waitlist", wish).json()["id"])


def load() -> Any:
    """The description, as schemathesis reads it from the application."""
    loaded = schemathesis.openapi.from_wsgi("/api/v1/schema?format=json", get_wsgi_application())
    loaded.config.generation.with_security_parameters = False  # we bring a key of our own
    return loaded


def operations(loaded: Any) -> Iterator[Any]:
    for result in loaded.get_all_operations():
        yield result.ok()


def storm(world: World, operation: Any, *, examples: int, number: int) -> None:
    """So many requests of either kind to one operation; `number` is the seed."""
    for mode in BOTH:
        _storm(world, operation, mode, examples, number)


def _storm(world: World, operation: Any, mode: GenerationMode, examples: int, number: int) -> None:
    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode), luck=st.integers(0, 2**32))
    def ask(case: Any, luck: int) -> None:
        _aim(case, world, random.Random(luck))
        headers = {"Authorization": f"Bearer {world.secret}"}
        response = case.call(headers=headers)
        world.answered[f"{response.status_code}"] += 1
        case.validate_response(
            response, checks=CHECKS, headers=headers, transport_kwargs={"headers": headers}
        )
        _check_code(operation, response)

    ask()


def _check_code(operation: Any, response: Any) -> None:
    if response.status_code < 400:
        return
    described = conformance.operation_of(operation.method, operation.full_path)
    told = described["responses"][str(response.status_code)]
    assert response.json()["code"] in conformance.problem_codes(told), response.json()


# --- Aiming at what is there --------------------------------------------------------------------


def _aim(case: Any, world: World, luck: random.Random) -> None:
    """Put what exists in place of random ids and times, in most requests.

    Of requests that do not fit only the address is aimed, so that what is wrong with them stays.
    """
    if isinstance(case.query, dict):
        # A parameter without a value counts as not given, which no schema can say.
        case.query = {name: value for name, value in case.query.items() if not _is_empty(value)}
    if luck.random() < 0.2:
        return
    for name, value in (case.path_parameters or {}).items():
        if name in world.ids and _UUID.fullmatch(str(value)):  # others are what is wrong with it
            case.path_parameters[name] = luck.choice(world.ids[name])
    if case.meta is not None and case.meta.generation.mode.is_positive:
        _aim_what_is_asked(case, world, luck)


def _aim_what_is_asked(case: Any, world: World, luck: random.Random) -> None:
    if isinstance(case.query, dict):
        case.query.update(_aimed(case.query, world, luck))
    if isinstance(case.body, dict):
        case.body = _aimed(case.body, world, luck)
    if "Idempotency-Key" in (case.headers or {}) and luck.random() < 0.8:
        case.headers["Idempotency-Key"] = str(uuid4())


def _is_empty(value: Any) -> bool:
    """Whether nothing is left of it in an address."""
    several = value if isinstance(value, list) else [value]
    return all(each is None or not str(each).strip(" ,") for each in several)


def _aimed(value: Any, world: World, luck: random.Random) -> Any:
    """Resources that are there, and windows on the quarter hours of a few days."""
    if isinstance(value, list):
        return [_aimed(each, world, luck) for each in value]
    if not isinstance(value, dict):
        return value
    hour = luck.randrange(0, 4 * 96) / 4
    moments = {"start": hour, "from": hour, "free_from": hour}
    moments |= dict.fromkeys(("end", "to", "free_to"), hour + luck.choice([0.25, 0.5, 1, 2]))
    found = {name: _aimed(inner, world, luck) for name, inner in value.items()}
    found |= {name: rfc3339(at(when)) for name, when in moments.items() if name in value}
    return found | ({"resource": luck.choice(world.resources)} if "resource" in value else {})
