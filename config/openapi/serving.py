"""The description as it is served: made and written once by each process.

Making it takes a third of a second of the processor, and anybody may ask for it without a key.
Nothing of it depends on who asks, or on what stands in the query.
"""

from functools import lru_cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

from config.openapi.kept import current

_RENDERERS: dict[str, Any] = {each.format: each for each in SpectacularAPIView.renderer_classes}


class DescriptionView(SpectacularAPIView):
    """As YAML, or as the JSON that Accept or `?format=json` ask for."""

    schema = None

    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer = request.accepted_renderer
        return HttpResponse(
            _written(renderer.format),
            content_type=f"{renderer.media_type}; charset=utf-8",
            headers={"Content-Disposition": f'inline; filename="surehold.{renderer.format}"'},
        )


@lru_cache(maxsize=4)
def _written(form: str) -> bytes:
    """In this form: `yaml` or `json`."""
    return bytes(_RENDERERS[form]().render(current()))
