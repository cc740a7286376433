"""Members by their address."""

from django.db import IntegrityError, transaction

from members.models import Member


def member_of_address(email: str) -> Member:
    """The member with this e-mail address, made when there is none: they can sign in by mail."""
    address = email.strip().lower()
    found = Member.objects.filter(email=address).first()
    if found:
        return found
    try:
        with transaction.atomic():
            return Member.objects.create_user(address)
    except IntegrityError:
        return Member.objects.get(email=address)
