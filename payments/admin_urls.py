"""Pages of the admin that belong to no model."""

from django.contrib import admin
from django.urls import path

from payments.admin_on_behalf import book
from payments.money_and_slots import money_and_slots

app_name = "payments_admin"
urlpatterns = [
    path("money-and-slots/", admin.site.admin_view(money_and_slots), name="money_and_slots"),
    path("book-for-somebody/", admin.site.admin_view(book), name="book"),
]
