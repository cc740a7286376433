"""Every address, by the app that answers it."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from config import health, media
from config.api import NotFoundView

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
    re_path(r"^media/(?P<path>.+)$", media.serve, name="media"),
    path("api/v1/", include("config.api_urls")),
    re_path(r"^api(/.*)?$", NotFoundView.as_view()),
    path("admin/", include("payments.admin_urls")),
    path("admin/", admin.site.urls),
    path("", include("payments.urls")),
    path("", include("holds.urls")),
    path("", include("bookings.urls")),
    path("", include("members.urls")),
]
