"""Who is acting and in which request: what every history row keeps."""

from contextvars import ContextVar
from dataclasses import dataclass

request_id: ContextVar[str] = ContextVar("request_id", default="")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: `kind` is visitor, member, staff, api_key or system; `label` is for people."""

    kind: str
    id: str = ""
    label: str = ""


SYSTEM = Actor("system", label="Surehold")
