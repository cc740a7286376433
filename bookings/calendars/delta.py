"""What a reading of a calendar brought, however it was read."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Item:
    """One file of it, as it is now."""

    href: str
    uid: str = ""
    etag: str = ""
    data: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """Items that are new or different, and hrefs that are gone.

    With `complete` these are all there are. `sync_token` and `etag` say how far it was read.
    """

    items: list[Item] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    complete: bool = False
    unchanged: bool = False
    sync_token: str = ""
    etag: str = ""
