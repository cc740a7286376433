"""Writing the rows of one happening in one statement.

Round trips are what a claim costs (design.md §9). A transition and its effects write rows of
several tables; `insert` sends them together, as data-modifying CTEs, instead of one by one.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from django.db import connection, models
from django.db.models.expressions import DatabaseDefault

from config.kernel import effects

# For each column the SQL that stands there: a constant or a parameter. What is the same in most
# rows stands in the statement, and a key or a time that several rows share is one parameter, so
# that psycopg can keep the statement's parsed form (which it does up to fifty parameters).
_Row = tuple[str, ...]
_Shape = tuple[tuple[type[models.Model], _Row], ...]
_SHARED = frozenset({uuid.UUID, datetime})
_PLAIN = _SHARED | {str, int}
# The statements of more rows than this are not kept: batches differ, and each is long.
_MOST_KEPT = 40


@dataclass(frozen=True, slots=True)
class _Column:
    """A column's attribute, and how a value that is not plain is made fit for the database."""

    attname: str
    is_json: bool
    prepared: Callable[[Any], Any]


def insert(rows: Iterable[models.Model]) -> None:
    """Insert unsaved instances of any models in one statement, then kick what they ask for.

    Keys are made in Python (UUIDs) or by the database; what the database fills in is not read
    back. The constraints and triggers of every table decide as for any other INSERT.
    """
    written = list(rows)
    if not written:
        return
    parameters: dict[str, Any] = {}
    named: dict[int, str] = {}
    shape = tuple((type(row), _row(row, parameters, named)) for row in written)
    statement = _kept_statement if len(shape) <= _MOST_KEPT else _statement
    with connection.cursor() as cursor:
        cursor.execute(statement(shape), parameters)
    for row in written:
        row._state.adding = False
        row._state.db = connection.alias
        effects.kick_for(row)


def _row(row: models.Model, parameters: dict[str, Any], named: dict[int, str]) -> _Row:
    """The row's SQL, column by column; what it has to say is added to the parameters.

    `named` knows the parameter of each shared value by its identity.
    """
    values = row.__dict__
    return tuple(
        [_sql(column, values[column.attname], parameters, named) for column in _columns(type(row))]
    )


def _sql(column: _Column, value: Any, parameters: dict[str, Any], named: dict[int, str]) -> str:
    kind = type(value)
    if kind in _SHARED:
        known = named.get(id(value))
        if known is None:
            known = named[id(value)] = _parameter(value, parameters)
        return known
    if column.is_json and value is not None:
        return _parameter(column.prepared(value), parameters)
    constant = _constant(kind, value)
    if constant is not None:
        return constant
    return _parameter(value if kind in _PLAIN else column.prepared(value), parameters)


def _constant(kind: type, value: Any) -> str | None:
    if value is None:
        return "NULL"
    if kind is bool:
        return "true" if value else "false"
    if kind is DatabaseDefault:
        return "DEFAULT"
    if kind in _PLAIN and not value:
        return "''" if kind is str else "0"
    return None


def _parameter(value: Any, parameters: dict[str, Any]) -> str:
    name = f"p{len(parameters)}"
    parameters[name] = value
    return f"%({name})s"


@lru_cache(maxsize=64)
def _columns(model: type[models.Model]) -> list[_Column]:
    return [
        _Column(
            attname=field.attname,
            is_json=isinstance(field, models.JSONField),
            prepared=partial(field.get_db_prep_save, connection=connection),
        )
        for field in _fields(model)
    ]


def _fields(model: type[models.Model]) -> list[models.Field]:
    return [f for f in model._meta.concrete_fields if not isinstance(f, models.AutoField)]


@lru_cache(maxsize=256)
def _kept_statement(shape: _Shape) -> str:
    return _statement(shape)


def _statement(shape: _Shape) -> str:
    grouped: dict[type[models.Model], list[_Row]] = {}
    for model, row in shape:
        grouped.setdefault(model, []).append(row)
    *firsts, last = _inserts(grouped)
    if not firsts:
        return last
    parts = ", ".join(f"part{i} AS ({sql})" for i, sql in enumerate(firsts))
    return f"WITH {parts} {last}"


def _inserts(grouped: dict[type[models.Model], list[_Row]]) -> Iterator[str]:
    quote = connection.ops.quote_name
    for model, rows in grouped.items():
        columns = ", ".join(quote(str(field.column)) for field in _fields(model))
        values = ", ".join(f"({', '.join(row)})" for row in rows)
        yield f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES {values}"  # noqa: S608
