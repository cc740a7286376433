"""Places in line as the OpenAPI description shows them."""

from rest_framework import serializers

from bookings.api import MAX_QUANTITY
from holds.waitlist_states import WAITLIST_STATES

WAITLIST_STATE = [(state, state) for state in WAITLIST_STATES.states]


class WaitingMemberRequestSchema(serializers.Serializer):
    email = serializers.EmailField(max_length=254)
    name = serializers.CharField(required=False, allow_null=True, max_length=200)


class WaitingMemberSchema(serializers.Serializer):
    email = serializers.EmailField()
    name = serializers.CharField(help_text="Empty where nobody said.")


class WaitlistRequestSchema(serializers.Serializer):
    resource = serializers.UUIDField()
    start = serializers.DateTimeField(help_text="With its offset.")
    end = serializers.DateTimeField(help_text="With its offset; not part of the window.")
    duration = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        help_text="In minutes: any start within the window that leaves so long will do. The whole "
        "window unless given. The window is then at most a week.",
    )
    quantity = serializers.IntegerField(
        default=1, allow_null=True, min_value=1, max_value=MAX_QUANTITY
    )
    member = WaitingMemberRequestSchema()


class WaitlistOfferSchema(serializers.Serializer):
    hold = serializers.UUIDField(help_text="See `/holds/{id}`.")
    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class WaitlistEntrySchema(serializers.Serializer):
    id = serializers.UUIDField()
    token = serializers.CharField(help_text="Names the page that shows it: `/waiting/{token}/`.")
    state = serializers.ChoiceField(WAITLIST_STATE)
    resource = serializers.UUIDField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    duration = serializers.IntegerField(help_text="In minutes.")
    quantity = serializers.IntegerField()
    member = WaitingMemberSchema()
    queued_at = serializers.DateTimeField(help_text="Who has the earlier one comes first.")
    ended_at = serializers.DateTimeField(allow_null=True)
    offer = WaitlistOfferSchema(allow_null=True, help_text="While the state is `offered`.")
