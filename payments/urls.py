"""Holding, paying, what became of it, and one's bookings."""

from django.urls import path

from payments import (
    metrics,
    views,
    views_again,
    views_change,
    views_changed,
    views_discount,
    views_dropping,
    views_mine,
    views_money_back,
    views_pay_again,
    views_rebook,
    views_series,
    views_waitlist,
    way_back,
)

app_name = "payments"
urlpatterns = [
    path("metrics", metrics.metrics, name="metrics"),
    path("w/<slug:slug>/<slug:resource_slug>/hold/", views.place, name="place"),
    path("w/<slug:slug>/<slug:resource_slug>/repeat/", views_series.repeat, name="repeat"),
    path("series/<str:token>/", views_series.booked, name="series"),
    path("hold/<str:token>/pay/", views.pay, name="pay"),
    path("hold/<str:token>/discount/", views_discount.discount, name="discount"),
    path("hold/<str:token>/let-go/", views.let_go, name="let_go"),
    path("return/<str:token>/", views.after_paying, name="return"),
    path("return/change/<str:token>/", views_changed.after_paying, name="return_change"),
    path("paid/<str:signed>/", way_back.way_back, name="way_back"),
    path("again/<str:token>/", views_again.again, name="again"),
    path("rebook/<str:token>/", views_rebook.rebook, name="rebook"),
    path("rebook/<str:token>/hold/", views_rebook.place, name="rebook_place"),
    path("waiting/<str:token>/leave/", views_waitlist.leave, name="leave_line"),
    path("my/", views_mine.my, name="my"),
    path("b/<str:token>/pay-again/", views_pay_again.pay, name="pay_again"),
    path("b/<str:token>/", views_mine.manage, name="manage"),
    path("b/<str:token>/change/", views_change.change, name="change"),
    path("b/<str:token>/cancel/", views_money_back.cancel, name="cancel"),
    path("b/<str:token>/cancel-lines/", views_dropping.cancel_lines, name="cancel_lines"),
    path("b/<str:token>/cancel-rest/", views_dropping.cancel_rest, name="cancel_rest"),
    path("b/<str:token>/receipts/<uuid:receipt_id>/", views_money_back.receipt, name="receipt"),
]
