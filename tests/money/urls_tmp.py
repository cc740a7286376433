from django.urls import include, path
from django.http import HttpResponse
v = lambda r, **k: HttpResponse("x")
urlpatterns = [
 path("", include(([path("b/<str:token>/", v, name="manage")], "payments"))),
 path("", include(([path("sign-in/link/", v, name="sign_in_link")], "members"))),
]
