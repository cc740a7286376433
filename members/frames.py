"""A calendar in somebody else's page: who looks, by a signed token in the frame's own addresses.

There is no cookie, session or member in a frame: browsers refuse third-party cookies, and a page
that frames ours must not act with what its visitor is signed in with. The visitor's token is bound
to the workspace; forms carry a second one that is bound to the visitor. Addresses in a frame are
`/embed/<workspace>/<visitor>:<signature>~<look>/…`, so that every link within keeps both.
"""

import uuid
from dataclasses import dataclass

from django.core import signing
from django.http import HttpRequest
from django.urls import reverse

_VISITOR = signing.Signer(salt="members.frame")
_FORM = signing.Signer(salt="members.frame.form")
SEGMENT = r"[0-9a-f]{32}:[A-Za-z0-9_-]{20,80}(?:~[A-Za-z0-9_-]{0,2000})?"
LOOK = r"[A-Za-z0-9_-]{0,2000}"

# What is shown within a frame; whatever else a page leads to opens in a window of its own. The
# second are addresses that begin with the workspace.
_INSIDE = {
    "holds:hold", "holds:clock", "holds:extend", "payments:pay", "payments:discount",
    "payments:let_go", "payments:return", "payments:paying", "payments:state", "payments:go",
    "payments:back",
}  # fmt: skip
_OF_WORKSPACE = {
    "bookings:workspace", "bookings:resource", "bookings:resource_week", "payments:place",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """One visitor's calendar in a page. `look` is what the page asked for, not yet read."""

    slug: str
    visitor: str
    look: str = ""
    origins: tuple[str, ...] = ()

    @property
    def segment(self) -> str:
        """What stands for it in addresses."""
        return f"{self.bare}~{self.look}" if self.look else self.bare

    @property
    def bare(self) -> str:
        """The visitor's signed token."""
        return _VISITOR.sign(f"{self.slug}.{self.visitor}").removeprefix(f"{self.slug}.")

    @property
    def form_token(self) -> str:
        """What a form has to carry. It stands where other pages' CSRF token does."""
        return _FORM.signature(f"{self.slug}.{self.visitor}")

    def sent(self, form_token: str) -> bool:
        """Whether a form was one of this frame's."""
        try:
            _FORM.unsign(f"{self.slug}.{self.visitor}:{form_token}")
        except signing.BadSignature:
            return False
        return True

    def address(self, name: str, *args: str) -> str:
        """Where a page is for this frame: inside of it, or where it is for everybody."""
        short = name.partition(":")[2]
        if name in _OF_WORKSPACE and args[0] == self.slug:
            return reverse(f"embed:{short}", args=[self.slug, self.segment, *args[1:]])
        if name in _INSIDE:
            return reverse(f"embed:{short}", args=[self.slug, self.segment, *args])
        return reverse(name, args=args)


def new_frame(slug: str, look: str) -> Frame:
    """A frame for somebody who comes for the first time."""
    return Frame(slug, uuid.uuid4().hex, look)


def frame_from(slug: str, segment: str, origins: tuple[str, ...] = ()) -> Frame | None:
    """The frame that an address names, or None when its token is not ours for that workspace."""
    signed, _, look = segment.partition("~")
    try:
        known = _VISITOR.unsign(f"{slug}.{signed}")
    except signing.BadSignature:
        return None
    return Frame(slug, known.removeprefix(f"{slug}."), look, origins)


def in_forms(request: HttpRequest) -> dict[str, str]:
    """A context processor: within a frame, `csrf_token` is the frame's own, and sets no cookie."""
    frame = getattr(request, "frame", None)
    return {"csrf_token": frame.form_token} if frame is not None else {}
