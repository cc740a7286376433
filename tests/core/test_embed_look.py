"""What a host page may ask of a frame's looks, and that it can be read whatever it asks."""

import itertools
import re
from typing import Any

import pytest

from bookings.embed_look import Look, contrast, look_from, readable, segment_of
from members.frames import LOOK, SEGMENT, frame_from, new_frame

CHANNELS = ["00", "33", "77", "bb", "ff"]
COLOURS = ["#" + "".join(each) for each in itertools.product(CHANNELS, repeat=3)]


def css(**said: Any) -> str:
    return look_from(segment_of(said)).css()


def variables(text: str) -> dict[str, str]:
    assert re.fullmatch(r":root\{[^{}<>;]*(;[^{}<>;]*)*\}", text)
    return dict(rule.split(":", 1) for rule in text[6:-1].split(";"))


def test_nothing_asked_for_follows_the_visitors_system() -> None:
    assert css() == ":root{color-scheme:light dark}"
    assert css(s="dark") == ":root{color-scheme:dark}"


@pytest.mark.parametrize(
    "said",
    [
        {"a": "red"},
        {"a": "#12345"},
        {"a": "#123456;}body{display:none"},
        {"b": "url(https://evil.example/)"},
        {"r": "4px"},
        {"r": 25},
        {"r": True},
        {"f": "x;}"},
        {"f": 'Inter", url(x)'},
        {"f": ","},
        {"s": "neon"},
        {"l": "../../etc"},
        {"p": "javascript:alert(1)"},
        {"p": "//evil.example"},
        {"p": "https://club.example/\ud800"},
        {"o": "yes"},
        {"a": ["#123456"], "f": {"x": 1}, "p": 3},
    ],
)
def test_nonsense_is_left_out(said: dict[str, Any]) -> None:
    assert look_from(segment_of(said)) == Look()


@pytest.mark.parametrize("segment", ["", "x", "AAAA", "W10", "bnVsbA", "_" * 1999, "Wy" * 900])
def test_what_is_no_look_is_none(segment: str) -> None:
    assert re.fullmatch(LOOK, segment)
    assert look_from(segment) == Look()


def test_fonts_and_corners_are_written_anew() -> None:
    found = variables(css(f="Inter Display, 'Segoe UI',sans-serif", r=4))
    assert found["--font"] == '"Inter Display","Segoe UI",sans-serif'
    assert found["--round"] == "4px"


@pytest.mark.parametrize("ground", ["#ffffff", "#faf8f3", "#dddddd", "#1a1916", "#000000"])
def test_any_accent_can_be_read_on_any_ground_and_its_label_on_it(ground: str) -> None:
    for colour in COLOURS:
        found = readable(colour, ground)
        assert contrast(found, ground) >= 5.2
        said = variables(css(a=colour, b=ground))
        assert said["--accent"] == found
        assert contrast(said["--on-accent"], found) >= 4.5


def test_text_stays_apart_from_its_ground_whatever_is_asked() -> None:
    for ground, text in itertools.product(COLOURS[::3], COLOURS[::4]):
        said = variables(css(b=ground, t=text))
        if "--paper" in said:
            assert contrast(said["--ink"], said["--paper"]) >= 7
            assert said["color-scheme"] == ("light" if contrast(ground, "#000000") > 10 else "dark")
        else:
            assert "--ink" not in said


def test_a_frames_visitor_is_bound_to_the_workspace() -> None:
    frame = new_frame("kauri-house", segment_of({"s": "dark"}))
    assert re.fullmatch(SEGMENT, frame.segment)
    found = frame_from("kauri-house", frame.segment)
    assert found == frame
    assert frame_from("elsewhere", frame.segment) is None
    assert frame_from("kauri-house", "0" * 32 + frame.segment[32:]) is None
    assert frame_from("kauri-house", "") is None
    other = new_frame("kauri-house", "")
    assert frame.sent(frame.form_token)
    assert not frame.sent(other.form_token)
    assert not frame.sent(frame.bare.partition(":")[2])
    assert not frame.sent("")
