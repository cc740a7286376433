"""Pieces of the triggers that the models declare: each names its rule and its SQLSTATE."""

import pgtrigger

CHECK = "23514"
EXCLUSION = "23P01"
RESTRICT = "23001"


def refuse(rule: str, message: str, *, sqlstate: str = CHECK) -> str:
    """PL/pgSQL that raises with the rule as the constraint's name.

    Django shows it as IntegrityError; `__cause__.diag.constraint_name` is `rule`.
    """
    return (
        f"RAISE EXCEPTION USING ERRCODE = '{sqlstate}', CONSTRAINT = '{rule}', "
        f"TABLE = TG_TABLE_NAME, MESSAGE = '{message}';"
    )


def undeletable(rule: str, *, unless: str = "") -> list[pgtrigger.Trigger]:
    """Refuse TRUNCATE, and DELETE except for rows where `unless` (SQL on OLD) holds."""
    keep = refuse(rule, "rows of this table are kept", sqlstate=RESTRICT)
    body = f"IF {unless} THEN RETURN OLD; END IF; {keep}" if unless else keep
    return [
        pgtrigger.Trigger(
            name="keep_rows", operation=pgtrigger.Delete, when=pgtrigger.Before, func=body
        ),
        pgtrigger.Trigger(
            name="keep_table",
            operation=pgtrigger.Truncate,
            when=pgtrigger.Before,
            level=pgtrigger.Statement,
            func=keep,
        ),
    ]


def unchangeable(rule: str) -> list[pgtrigger.Trigger]:
    """Append-only: refuse UPDATE, DELETE and TRUNCATE."""
    return [
        *undeletable(rule),
        pgtrigger.Trigger(
            name="keep_content",
            operation=pgtrigger.Update,
            when=pgtrigger.Before,
            func=refuse(rule, "rows of this table never change", sqlstate=RESTRICT),
        ),
    ]


def deferred(
    name: str,
    func: str,
    operation: pgtrigger.Operation,
    *,
    declare: list[tuple[str, str]] | None = None,
    condition: pgtrigger.Condition | None = None,
) -> pgtrigger.Trigger:
    """A constraint trigger that looks at commit, when a transaction's rows must agree."""
    return pgtrigger.Trigger(
        name=name,
        operation=operation,
        when=pgtrigger.After,
        timing=pgtrigger.Deferred,
        func=func,
        declare=declare,
        condition=condition,
    )
