"""Public holidays by country and subdivision, from the `holidays` library, kept in the process.

The library is imported when the first calendar is asked for: most workspaces have none.
"""

import logging
from collections.abc import Mapping
from datetime import date
from functools import lru_cache

_LANGUAGE = "en_US"
_log = logging.getLogger(__name__)


def holiday_name(country: str, subdivision: str, day: date) -> str:
    """What a day is a public holiday for ("Christmas Day"), or nothing."""
    return holidays_of(country, subdivision, day.year).get(day, "")


@lru_cache(maxsize=512)
def holidays_of(country: str, subdivision: str, year: int) -> Mapping[date, str]:
    """A year's public holidays by day; none, and a line in the log, where nobody knows any."""
    import holidays

    try:
        known = holidays.country_holidays(
            country, subdiv=subdivision or None, years=year, language=_LANGUAGE
        )
    except NotImplementedError:
        _log.error("no public holidays are known for %s %s", country, subdivision)
        return {}
    return {day: name for day, name in known.items() if day.year == year}


@lru_cache(maxsize=1)
def countries() -> dict[str, tuple[str, ...]]:
    """Every country that has a calendar, by its two letters, with its subdivisions' codes."""
    import holidays

    known = holidays.list_supported_countries(include_aliases=False)
    return {code: tuple(parts) for code, parts in sorted(known.items())}


@lru_cache(maxsize=1)
def country_names() -> list[tuple[str, str]]:
    """Every country that has a calendar, as (two letters, name), by name."""
    from holidays.registry import COUNTRIES

    named = {code: key.replace("_", " ").title() for key, (_, code, *_) in COUNTRIES.items()}
    found = [(code, named.get(code, code)) for code in countries()]
    return sorted(found, key=lambda each: each[1])
