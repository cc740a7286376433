"""Every address of the API (api.md), by the app that answers it."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularSwaggerSplitView

from bookings import api as bookings
from config.api import NotFoundView
from config.openapi.serving import DescriptionView
from holds import api as holds
from holds import api_waitlist
from members import api_webhooks as webhooks
from payments import api as payments
from payments import api_confirm, api_credits, api_leave_waitlist, api_quotes, api_reschedule
from payments import api_money_back as money_back

app_name = "api"

urlpatterns = [
    path("resources", bookings.ResourceListView.as_view(), name="resources"),
    path("resources/<uuid:resource_id>", bookings.ResourceView.as_view(), name="resource"),
    path(
        "resources/<uuid:resource_id>/availability",
        bookings.AvailabilityView.as_view(),
        name="availability",
    ),
    path("resources/<uuid:resource_id>/explain", bookings.ExplainView.as_view(), name="explain"),
    path("quotes", api_quotes.QuoteListView.as_view(), name="quotes"),
    path("holds", payments.HoldListView.as_view(), name="holds"),
    path("holds/<uuid:hold_id>", payments.HoldView.as_view(), name="hold"),
    path("holds/<uuid:hold_id>/extend", holds.HoldExtendView.as_view(), name="hold-extend"),
    path(
        "holds/<uuid:hold_id>/checkout", payments.HoldCheckoutView.as_view(), name="hold-checkout"
    ),
    path(
        "holds/<uuid:hold_id>/confirm", api_confirm.HoldConfirmView.as_view(), name="hold-confirm"
    ),
    path("waitlist", api_waitlist.WaitlistView.as_view(), name="waitlist"),
    path(
        "waitlist/<uuid:entry_id>",
        api_leave_waitlist.WaitlistEntryView.as_view(),
        name="waitlist-entry",
    ),
    path("bookings", payments.BookingListView.as_view(), name="bookings"),
    path("bookings/<uuid:booking_id>", payments.BookingView.as_view(), name="booking"),
    path(
        "bookings/<uuid:booking_id>/events",
        bookings.BookingEventsView.as_view(),
        name="booking-events",
    ),
    path("bookings/<uuid:booking_id>/cancel", money_back.CancelView.as_view(), name="cancel"),
    path(
        "bookings/<uuid:booking_id>/reschedule",
        api_reschedule.RescheduleView.as_view(),
        name="reschedule",
    ),
    path("bookings/<uuid:booking_id>/refunds", money_back.RefundsView.as_view(), name="refunds"),
    path(
        "members/<uuid:member_id>/credits",
        api_credits.MemberCreditsView.as_view(),
        name="member-credits",
    ),
    path("webhook-endpoints", webhooks.EndpointListView.as_view(), name="webhook-endpoints"),
    path(
        "webhook-endpoints/<uuid:endpoint_id>",
        webhooks.EndpointView.as_view(),
        name="webhook-endpoint",
    ),
    path(
        "webhook-endpoints/<uuid:endpoint_id>/test",
        webhooks.EndpointTestView.as_view(),
        name="webhook-endpoint-test",
    ),
    path(
        "webhook-endpoints/<uuid:endpoint_id>/rotate-secret",
        webhooks.EndpointRotationView.as_view(),
        name="webhook-endpoint-rotate-secret",
    ),
    path(
        "webhook-endpoints/<uuid:endpoint_id>/deliveries",
        webhooks.DeliveryListView.as_view(),
        name="webhook-deliveries",
    ),
    path(
        "webhook-endpoints/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>",
        webhooks.DeliveryView.as_view(),
        name="webhook-delivery",
    ),
    path(
        "webhook-endpoints/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/replay",
        webhooks.DeliveryReplayView.as_view(),
        name="webhook-delivery-replay",
    ),
    path("schema", DescriptionView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="api:schema"), name="docs"),
    re_path(r"", NotFoundView.as_view(), name="not-found"),
]
