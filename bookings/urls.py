"""What can be booked, and a booking's calendar file."""

from django.urls import path

from bookings import views

app_name = "bookings"
urlpatterns = [
    path("w/<slug:slug>/", views.workspace, name="workspace"),
    path("w/<slug:slug>/brand.css", views.brand, name="brand"),
    path("w/<slug:slug>/<slug:resource_slug>/", views.resource, name="resource"),
    path("w/<slug:slug>/<slug:resource_slug>/week/", views.resource_week, name="resource_week"),
    path("b/<str:token>/calendar.ics", views.calendar_file, name="calendar"),
]
