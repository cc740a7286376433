"""The hold page, and the pages of those who wait."""

from django.urls import path

from holds import views, views_waitlist

app_name = "holds"
urlpatterns = [
    path("hold/<str:token>/", views.hold, name="hold"),
    path("hold/<str:token>/clock/", views.clock, name="clock"),
    path("hold/<str:token>/extend/", views.extend, name="extend"),
    path("w/<slug:slug>/<slug:resource_slug>/wait/", views_waitlist.join, name="wait"),
    path("waiting/<str:token>/", views_waitlist.waiting, name="waiting"),
]
