"""The hold page."""

from django.urls import path

from holds import views

app_name = "holds"
urlpatterns = [
    path("hold/<str:token>/", views.hold, name="hold"),
    path("hold/<str:token>/clock/", views.clock, name="clock"),
    path("hold/<str:token>/extend/", views.extend, name="extend"),
]
