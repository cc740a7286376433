"""Every operation of the API, from its addresses themselves: a new one cannot be forgotten."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.urls import URLPattern

from config import api_urls

METHODS = ("get", "post", "put", "patch", "delete")
# Read without a key: the description and its page, and what there is not.
OPEN = {"schema", "docs", "not-found"}
SOME_ID = UUID("0198c1de-4a6f-7cc3-9d0e-3f6f0c0f5a11")


@dataclass(frozen=True)
class Operation:
    """One method of one address; `ids` are the names of what its address names."""

    name: str
    method: str
    route: str
    ids: tuple[str, ...]
    view: Any

    @property
    def only_reads(self) -> bool:
        return self.method == "get" or getattr(self.view, "only_reads", False)

    def path(self, **ids: Any) -> str:
        """The address below /api/v1, with these ids, others being of nothing."""
        filled = self.route
        for name in self.ids:
            filled = filled.replace(f"<uuid:{name}>", str(ids.get(name, SOME_ID)))
        return f"/{filled}"

    def __str__(self) -> str:
        return f"{self.method} {self.name}"


def operations() -> Iterator[Operation]:
    """All but the open ones."""
    for pattern in api_urls.urlpatterns:
        assert isinstance(pattern, URLPattern)
        if pattern.name in OPEN:
            continue
        view = pattern.callback.view_class  # type: ignore[attr-defined]
        ids = tuple(pattern.pattern.converters)
        for method in METHODS:
            if hasattr(view, method):
                yield Operation(pattern.name or "", method, str(pattern.pattern), ids, view)
