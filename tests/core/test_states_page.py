"""docs/states.md says what the tables say."""

from pathlib import Path

from config.management.commands.states import page


def test_the_page_is_drawn_from_the_tables():
    assert Path("docs/states.md").read_text() == page()
