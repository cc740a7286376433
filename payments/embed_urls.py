"""The calendar in other sites' pages. `segment`: the visitor and the look (members.frames)."""

from django.urls import path, re_path, register_converter

from bookings import views as catalogue
from holds import views as holds
from members.frames import LOOK, SEGMENT
from payments import views, views_discount
from payments import views_embed as embed
from payments.embedding import framed, framed_booking, framed_hold, posted_to


class _Segment:
    regex = SEGMENT

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(_Segment, "segment")

app_name = "embed"
_IN = "embed/<slug:slug>/<segment:segment>/"
to_hold = posted_to("holds:hold")

urlpatterns = [
    path("embed.js", embed.script, name="script"),
    path("embed/<slug:slug>/", embed.enter, name="enter"),
    path("embed/<slug:slug>/<slug:resource_slug>/", embed.enter, name="enter_resource"),
    re_path(rf"^embed/look/(?P<look>{LOOK})\.css$", embed.look_css, name="look"),
    path(_IN, framed(catalogue.workspace), name="workspace"),
    path(_IN + "r/<slug:resource_slug>/", framed(catalogue.resource), name="resource"),
    path(_IN + "r/<slug:resource_slug>/week/", framed(embed.resource_week), name="resource_week"),
    path(
        _IN + "r/<slug:resource_slug>/hold/",
        framed(posted_to("bookings:workspace")(views.place)),
        name="place",
    ),
    path(_IN + "hold/<str:token>/", framed_hold(holds.hold), name="hold"),
    path(_IN + "hold/<str:token>/clock/", framed_hold(holds.clock), name="clock"),
    path(_IN + "hold/<str:token>/state/", framed_hold(embed.state), name="state"),
    path(_IN + "hold/<str:token>/extend/", framed_hold(to_hold(holds.extend)), name="extend"),
    path(_IN + "hold/<str:token>/pay/", framed_hold(to_hold(views.pay)), name="pay"),
    path(_IN + "hold/<str:token>/paying/", framed_hold(embed.paying), name="paying"),
    path(
        _IN + "hold/<str:token>/discount/",
        framed_hold(to_hold(views_discount.discount)),
        name="discount",
    ),
    path(_IN + "hold/<str:token>/let-go/", framed_hold(to_hold(views.let_go)), name="let_go"),
    path(_IN + "return/<str:token>/", framed_booking(views.after_paying), name="return"),
    path(_IN + "go/<str:token>/", embed.go, name="go"),
    path(_IN + "back/<str:token>/", embed.back, name="back"),
]
