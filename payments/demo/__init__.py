"""The demo workspace: Harbour Rooms, a business that could be real."""
