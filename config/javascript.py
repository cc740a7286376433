"""`surehold.js` and its types, for pages of any origin to import.

At its stable address it is kept for minutes and asked for again by its ETag; under its digest,
which `/surehold.js` names in `Link`, for a year. It is public, so every origin may read it.
"""

import hashlib
from functools import lru_cache

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.http import parse_etags
from django.views.decorators.http import require_safe

_TYPES = {"js": "text/javascript; charset=utf-8", "d.ts": "text/plain; charset=utf-8"}
_STABLE = "public, max-age=300, stale-while-revalidate=86400"
_VERSIONED = "public, max-age=31536000, immutable"


@lru_cache(maxsize=4)
def _content(kind: str) -> tuple[bytes, str]:
    """The file and its digest; read once, since it changes with a release only."""
    content = (settings.BASE_DIR / "static" / f"surehold.{kind}").read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:16]


@require_safe
def module(request: HttpRequest, kind: str, version: str = "") -> HttpResponse:
    """The file; a version that is not this release's is not here."""
    content, digest = _content(kind)
    if version and version != digest:
        raise Http404("no such version")
    etag = f'"{digest}"'
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if etag in known or f"W/{etag}" in known:
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(content, content_type=_TYPES[kind])
    response["ETag"] = etag
    response["Cache-Control"] = _VERSIONED if version else _STABLE
    response["Link"] = f'</surehold.{digest}.{kind}>; rel="alternate"'
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


urlpatterns = [
    path("surehold.js", module, {"kind": "js"}),
    path("surehold.d.ts", module, {"kind": "d.ts"}),
    path("surehold.<slug:version>.js", module, {"kind": "js"}),
    path("surehold.<slug:version>.d.ts", module, {"kind": "d.ts"}),
]
