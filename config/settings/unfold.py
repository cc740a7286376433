"""The admin's look and its way in: django-unfold in Surehold's colours, ordered by work."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy

_EVERGREEN = {
    "50": "oklch(97% .02 165)",
    "100": "oklch(94% .04 165)",
    "200": "oklch(88% .07 165)",
    "300": "oklch(79% .1 165)",
    "400": "oklch(68% .11 165)",
    "500": "oklch(56% .1 165)",
    "600": "oklch(46% .085 165)",
    "700": "oklch(40% .07 165)",
    "800": "oklch(33% .055 165)",
    "900": "oklch(28% .045 165)",
    "950": "oklch(20% .035 165)",
}


def _item(title: str, icon: str, model: str, who: str = "is_clerk") -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{model}_changelist"),
        "permission": f"members.admin_scope.{who}",
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Surehold",
    "SITE_HEADER": "Surehold",
    "SITE_SYMBOL": "event_available",
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "COLORS": {"primary": _EVERGREEN},
    "DASHBOARD_CALLBACK": "payments.dashboard.first_screen",
    "STYLES": [lambda _request: static("surehold-admin/admin.css")],
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "title": "Work",
                "items": [
                    {
                        "title": "Today",
                        "icon": "today",
                        "link": reverse_lazy("admin:index"),
                    },
                    _item("Bookings", "event", "bookings_booking"),
                    {
                        "title": "Book for somebody",
                        "icon": "add_circle",
                        "link": reverse_lazy("payments_admin:book"),
                        "permission": "members.admin_scope.is_manager",
                    },
                    _item("Live holds", "hourglass_top", "holds_hold"),
                    _item("Waiting lists", "groups_2", "holds_waitlistentry"),
                    _item("Mail", "mail", "members_notification"),
                ],
            },
            {
                "title": "Money",
                "items": [
                    {
                        "title": "Money and slots",
                        "icon": "verified",
                        "link": reverse_lazy("payments_admin:money_and_slots"),
                        "permission": "members.admin_scope.is_clerk",
                    },
                    _item("Findings", "flag", "payments_finding"),
                    _item("Payments", "payments", "payments_payment"),
                    _item("Refunds", "currency_exchange", "payments_refund"),
                    _item("Disputes", "gavel", "payments_dispute"),
                    _item("Checkouts", "shopping_cart_checkout", "payments_checkout"),
                    _item("Make good", "healing", "payments_incident", "is_manager"),
                    _item("Credit", "savings", "payments_creditaccount"),
                ],
            },
            {
                "title": "Catalogue",
                "items": [
                    _item("Resources", "meeting_room", "bookings_resource"),
                    _item("Discount codes", "percent", "bookings_discount"),
                    _item("Blocks", "block", "bookings_block"),
                    _item("Locations", "location_on", "bookings_location"),
                    _item("Categories", "category", "bookings_category"),
                    _item("Limits", "speed", "bookings_bookinglimit"),
                ],
            },
            {
                "title": "Workspace",
                "items": [
                    _item("Workspaces", "domain", "members_workspace"),
                    _item("Staff", "badge", "members_staff", "is_manager"),
                    _item("API keys", "key", "members_apikey", "is_manager"),
                    _item("Webhooks", "webhook", "members_webhookendpoint", "is_manager"),
                    _item("Webhook deliveries", "outbox", "members_webhookdelivery", "is_manager"),
                    _item("Member groups", "groups", "members_membergroup", "is_manager"),
                    _item("Members", "group", "members_member", "is_superuser"),
                ],
            },
        ],
    },
}
