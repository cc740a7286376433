"""Raw SQL against the test database: rows as anybody might write them, past the product."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from bookings.models import Resource
from config.kernel.ids import new_id, new_reference
from tests.factories import at
from tests.servers import servers

CHECK, EXCLUSION, RESTRICT, UNIQUE = "23514", "23P01", "23001", "23505"


def sql(statement: str, *values: Any) -> list[tuple]:
    """One statement through Django's connection; its rows, if it has any."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def settle_constraints() -> None:
    """Let the deferred triggers look now, as a commit would, and wait again afterwards."""
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    sql("SET CONSTRAINTS ALL DEFERRED")


@contextmanager
def refused(rule: str, sqlstate: str = CHECK) -> Iterator[None]:
    """The block's statements, or their commit, are refused with this constraint and SQLSTATE."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():  # noqa: PT012
        yield
        settle_constraints()
    diag = caught.value.__cause__.diag  # type: ignore[union-attr]
    assert (diag.constraint_name, diag.sqlstate) == (rule, sqlstate), str(caught.value)


def connect(role: str | None = None) -> psycopg.Connection:
    """A connection of its own to the test database; a superuser's unless a role is named."""
    url = servers().database_url(connection.settings_dict["NAME"], role)
    return psycopg.connect(url, connect_timeout=5)


# --- Rows ---------------------------------------------------------------------------------------


def insert(table: str, **columns: Any) -> UUID:
    """INSERT one row and return its id."""
    columns = {"id": new_id(), **columns}
    assert re.fullmatch(r"\w+", table)
    names = ", ".join(columns)
    marks = ", ".join(["%s"] * len(columns))
    sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", *columns.values())
    return columns["id"]


def booking(resource: Resource, **columns: Any) -> UUID:
    """A booking row of the resource's workspace, pending unless told otherwise."""
    values = {
        "workspace_id": resource.workspace_id,
        "reference": new_reference(),
        "email": "",
        "name": "",
        "state": "pending_payment",
        "version": 0,
        "currency": "NZD",
        "total_minor": 4500,
        "price": "{}",
        "starts_at": at(9),
        "ends_at": at(10),
        "created_at": at(0, days=0),
    }
    return insert("bookings_booking", **{**values, **columns})


def line(booking_id: UUID, resource: Resource, **columns: Any) -> UUID:
    values = {
        "booking_id": booking_id,
        "resource_id": resource.pk,
        "position": 0,
        "starts_at": at(9),
        "ends_at": at(10),
        "quantity": 1,
        "amount_minor": 4500,
        "price": "[]",
    }
    return insert("bookings_line", **{**values, **columns})


def span(start: float = 9, end: float = 10, bounds: str = "[)") -> str:
    """A range literal of hours of the day a week from now."""
    return f"{bounds[0]}{at(start).isoformat()},{at(end).isoformat()}{bounds[1]}"


def occupancy(booking_id: UUID, line_id: UUID, resource: Resource, **columns: Any) -> UUID:
    values = {
        "resource_id": resource.pk,
        "booking_id": booking_id,
        "line_id": line_id,
        "during": span(),
        "quantity": 1,
        "exclusive": resource.is_exclusive,
        "lapses_at": at(0, days=1),
    }
    return insert("bookings_occupancy", **{**values, **columns})


def taken(resource: Resource, start: float = 9, end: float = 10, **columns: Any) -> UUID:
    """A pending booking with a line and an occupancy; returns the occupancy's id."""
    times = {"starts_at": at(start), "ends_at": at(end)}
    booking_id = booking(resource, **times)
    line_id = line(booking_id, resource, quantity=columns.get("quantity", 1), **times)
    return occupancy(booking_id, line_id, resource, **{"during": span(start, end), **columns})


def booking_of(occupancy_id: UUID) -> UUID:
    ((found,),) = sql("SELECT booking_id FROM bookings_occupancy WHERE id = %s", occupancy_id)
    return found


def block(resource: Resource, start: float = 9, end: float = 10, **columns: Any) -> UUID:
    values = {
        "workspace_id": resource.workspace_id,
        "resource_id": resource.pk,
        "during": span(start, end),
        "quantity": 1,
        "reason": "Cleaning",
    }
    return insert("bookings_block", **{**values, **columns})


def hold(resource: Resource, booking_id: UUID, **columns: Any) -> UUID:
    values = {
        "workspace_id": resource.workspace_id,
        "booking_id": booking_id,
        "token": str(new_id()),
        "state": "active",
        "version": 0,
        "created_at": at(0, days=0),
        "expires_at": at(1, days=0),
        "lapses_at": at(1, days=0),
        "ended_because": "",
        "has_open_checkout": False,
        "visitor": "",
    }
    return insert("holds_hold", **{**values, **columns})


def due(resource: Resource, booking_id: UUID, **columns: Any) -> UUID:
    values = {
        "workspace_id": resource.workspace_id,
        "booking_id": booking_id,
        "purpose": "booking",
        "amount_minor": 4500,
        "currency": "NZD",
        "created_at": at(0, days=0),
    }
    return insert("payments_due", **{**values, **columns})


def change(booking_id: UUID, **columns: Any) -> UUID:
    """A pending change of a booking, to the hour after the one it has."""
    values = {
        "booking_id": booking_id,
        "state": "pending",
        "version": 0,
        "base_version": 1,
        "lines": "[]",
        "starts_at": at(9),
        "ends_at": at(11),
        "difference_minor": 4500,
        "created_at": at(0, days=0),
    }
    return insert("bookings_change", **{**values, **columns})


def move(table: str, row_id: UUID, state: str, **columns: Any) -> None:
    """UPDATE a state with the version one higher, unless `version` says otherwise."""
    sets = ["state = %s"]
    values: list[Any] = [state]
    if "version" not in columns:
        sets.append("version = version + 1")
    for name, value in columns.items():
        sets.append(f"{name} = %s")
        values.append(value)
    sql(f"UPDATE {table} SET {', '.join(sets)} WHERE id = %s", *values, row_id)


def confirm(booking_id: UUID) -> None:
    """Confirm as the product does: occupancies stop lapsing, the state moves."""
    sql("UPDATE bookings_occupancy SET lapses_at = NULL WHERE booking_id = %s", booking_id)
    move("bookings_booking", booking_id, "confirmed")
    settle_constraints()
