"""Member groups in the admin: managers name them and say, by e-mail, who is in them."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from unfold.widgets import UnfoldAdminEmailInputWidget

from members.admin_scope import MANAGER, ScopedAdmin, ScopedInline
from members.models import GroupMembership, MemberGroup
from members.people import member_of_address


class MembershipForm(forms.ModelForm):
    """Somebody by their address; who has no account yet gets one."""

    email = forms.EmailField(label="E-mail", max_length=254, widget=UnfoldAdminEmailInputWidget)

    class Meta:
        model = GroupMembership
        fields = ("ends_at",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields["email"].initial = self.instance.member.email
            self.fields["email"].disabled = True

    def save(self, commit: bool = True) -> Any:
        if self.instance._state.adding:
            self.instance.member = member_of_address(self.cleaned_data["email"])
        return super().save(commit)


class MembershipInline(ScopedInline):
    model = GroupMembership
    form = MembershipForm
    fields = ("email", "ends_at")
    delete_rank = MANAGER

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).select_related("member")


@admin.register(MemberGroup)
class MemberGroupAdmin(ScopedAdmin):
    list_display = ("name", "workspace")
    list_select_related = ("workspace",)
    search_fields = ("name",)
    delete_rank = MANAGER
    prepopulated_fields: ClassVar = {"slug": ("name",)}
    fields = ("workspace", "name", "slug")
    inlines = (MembershipInline,)
