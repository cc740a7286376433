"""What every window of time must be, as CHECK constraints."""

from typing import Any

from django.db import models
from django.db.models import F, Func, Q

_DURING = F("during")


def _is(function: str, value: Any = _DURING) -> Q:
    """A range function that answers yes or no, for CHECK constraints."""
    return Q(Func(value, function=function, output_field=models.BooleanField()))


def window_checks(prefix: str) -> list[models.CheckConstraint]:
    """Non-empty, finite and half open: what every window of time must be (INV-1)."""
    return [
        models.CheckConstraint(
            name=f"{prefix}_window_not_empty",
            condition=~_is("isempty"),
        ),
        models.CheckConstraint(
            name=f"{prefix}_window_finite",
            condition=~_is("lower_inf")
            & ~_is("upper_inf")
            & _is("isfinite", Func(F("during"), function="lower"))
            & _is("isfinite", Func(F("during"), function="upper")),
        ),
        models.CheckConstraint(
            name=f"{prefix}_window_half_open",
            condition=_is("lower_inc") & ~_is("upper_inc"),
        ),
    ]
