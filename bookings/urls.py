"""What can be booked, a booking's calendar file, and feeds of them."""

from django.urls import path

from bookings import views, views_feed

app_name = "bookings"
urlpatterns = [
    path("w/<slug:slug>/", views.workspace, name="workspace"),
    path("w/<slug:slug>/brand.css", views.brand, name="brand"),
    path("w/<slug:slug>/<slug:resource_slug>/", views.resource, name="resource"),
    path("w/<slug:slug>/<slug:resource_slug>/week/", views.resource_week, name="resource_week"),
    path("ical/<str:token>.ics", views_feed.feed, name="feed"),
    path("my/calendar/", views_feed.make, name="make_feed"),
    path("my/calendar/revoke/", views_feed.revoke, name="revoke_feed"),
    path("b/<str:token>/calendar.ics", views.calendar_file, name="calendar"),
]
