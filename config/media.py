"""Pictures that operators upload, for installations without a file server in front.

Only what is an image by its name is served, never to be sniffed as anything else.
"""

from pathlib import PurePosixPath

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views import static

_PICTURES = {".webp", ".png", ".jpg", ".jpeg", ".gif", ".avif"}


def serve(request: HttpRequest, path: str) -> HttpResponseBase:
    """One uploaded picture; its name changes with its content, so that it may be kept for long."""
    if PurePosixPath(path).suffix.lower() not in _PICTURES:
        raise Http404
    response = static.serve(request, path, document_root=str(settings.MEDIA_ROOT))
    response["Cache-Control"] = "public, max-age=604800"
    response["X-Content-Type-Options"] = "nosniff"
    return response
