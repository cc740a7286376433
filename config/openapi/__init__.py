"""The description of the API: how it is made, kept, and compared with what was promised."""
