"""Holding, paying, what became of it, and one's bookings."""

from django.urls import path

from payments import views, views_mine, views_pay_again, views_rebook

app_name = "payments"
urlpatterns = [
    path("w/<slug:slug>/<slug:resource_slug>/hold/", views.place, name="place"),
    path("hold/<str:token>/pay/", views.pay, name="pay"),
    path("hold/<str:token>/let-go/", views.let_go, name="let_go"),
    path("return/<str:token>/", views.after_paying, name="return"),
    path("rebook/<str:token>/", views_rebook.rebook, name="rebook"),
    path("rebook/<str:token>/hold/", views_rebook.place, name="rebook_place"),
    path("my/", views_mine.my, name="my"),
    path("b/<str:token>/pay-again/", views_pay_again.pay, name="pay_again"),
    path("b/<str:token>/", views_mine.manage, name="manage"),
]
