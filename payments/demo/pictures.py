"""Pictures for the demo's rooms, drawn by ourselves: flat, calm, a few kilobytes each."""

import io
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageDraw

_SIZE = (960, 600)
_SCALE = 2  # drawn twice as large and made smaller, for smooth edges

Draw = ImageDraw.ImageDraw


@dataclass(frozen=True)
class Scene:
    """A kind of room, the colour of its wall, and the colour of what stands in it."""

    kind: str
    wall: str
    accent: str


def draw(scene: Scene) -> bytes:
    """The scene as a WebP image of 960 by 600."""
    picture = Image.new("RGB", (_SIZE[0] * _SCALE, _SIZE[1] * _SCALE), scene.wall)
    pen = ImageDraw.Draw(picture)
    _floor(pen)
    _window(pen, scene)
    _FURNITURE[scene.kind](pen, scene.accent)
    out = io.BytesIO()
    picture.resize(_SIZE, Image.Resampling.LANCZOS).save(out, "WEBP", quality=82, method=4)
    return out.getvalue()


def _box(pen: Draw, x: int, y: int, width: int, height: int, fill: str, radius: int = 0) -> None:
    """A rectangle in units of the finished picture."""
    corners = [x * _SCALE, y * _SCALE, (x + width) * _SCALE, (y + height) * _SCALE]
    pen.rounded_rectangle(corners, radius=radius * _SCALE, fill=fill)


def _round(pen: Draw, x: int, y: int, width: int, height: int, fill: str) -> None:
    corners = [x * _SCALE, y * _SCALE, (x + width) * _SCALE, (y + height) * _SCALE]
    pen.ellipse(corners, fill=fill)


def _floor(pen: Draw) -> None:
    _box(pen, 0, 430, 960, 170, "#c9b79c")
    for x in range(-60, 960, 140):
        pen.line(
            [((x + 60) * _SCALE, 430 * _SCALE), (x * _SCALE, 600 * _SCALE)], "#b9a588", 2 * _SCALE
        )


def _window(pen: Draw, scene: Scene) -> None:
    _box(pen, 90, 80, 300, 220, "#ffffff", 6)
    _box(pen, 102, 92, 276, 196, "#bcd7e2")
    _round(pen, 290, 110, 46, 46, "#f7efd2")
    _box(pen, 102, 240, 276, 48, "#8fb3a3")
    _round(pen, 130, 205, 190, 90, "#7aa08f")
    _box(pen, 102, 262, 276, 26, "#9cc1cf")
    _box(pen, 237, 92, 6, 196, "#ffffff")
    _box(pen, 90, 288, 300, 12, "#ffffff", 6)
    _box(pen, 820, 300, 16, 140, "#6b5b48")
    _round(pen, 770, 190, 116, 130, scene.accent)
    _box(pen, 800, 420, 56, 50, "#a5785a", 6)


def _chairs(pen: Draw, xs: range, accent: str) -> None:
    for x in xs:
        _box(pen, x, 330, 64, 84, accent, 14)
        _box(pen, x + 28, 400, 8, 70, "#4a453d")


def _table(pen: Draw, x: int, width: int) -> None:
    _box(pen, x, 395, width, 26, "#7b5f45", 8)
    _box(pen, x + 40, 420, 18, 110, "#5f4934")
    _box(pen, x + width - 58, 420, 18, 110, "#5f4934")


def _meeting(pen: Draw, accent: str) -> None:
    _box(pen, 470, 120, 220, 130, "#39403c", 8)
    _chairs(pen, range(270, 640, 110), accent)
    _table(pen, 210, 520)


def _board(pen: Draw, accent: str) -> None:
    for x in (410, 590):
        _box(pen, x, 130, 165, 105, "#39403c", 8)
    _chairs(pen, range(140, 760, 100), accent)
    _table(pen, 90, 690)


def _booth(pen: Draw, accent: str) -> None:
    _box(pen, 470, 60, 290, 420, accent, 18)
    _box(pen, 490, 80, 250, 380, "#f3efe6", 12)
    _box(pen, 520, 300, 190, 16, "#7b5f45", 6)
    _box(pen, 575, 340, 80, 100, accent, 18)
    pen.line([(640 * _SCALE, 300 * _SCALE), (660 * _SCALE, 230 * _SCALE)], "#4a453d", 5 * _SCALE)
    _round(pen, 636, 205, 52, 34, "#e9c46a")


def _studio(pen: Draw, accent: str) -> None:
    for x in (440, 560, 680):
        _box(pen, x, 90, 108, 320, "#eef3f4", 4)
        _box(pen, x + 8, 98, 92, 304, "#d5e3e6")
    _box(pen, 430, 300, 370, 8, "#7b5f45", 4)
    for x, fill in ((180, accent), (330, "#f3efe6"), (480, accent)):
        _round(pen, x, 500, 130, 40, fill)


def _bench(pen: Draw, accent: str) -> None:
    _box(pen, 450, 110, 300, 14, "#7b5f45")
    for x, fill in ((465, accent), (520, "#b5523b"), (575, "#d8a943"), (630, "#4d7a8c")):
        _box(pen, x, 64, 36, 46, fill, 4)
    _table(pen, 150, 620)
    for x in (220, 400, 580):
        _box(pen, x, 480, 70, 18, accent, 6)
        _box(pen, x + 30, 495, 10, 60, "#4a453d")


def _bike(pen: Draw, accent: str) -> None:
    for x in (330, 570):
        _ring(pen, x, 350, 160)
    for line in ((410, 430, 480, 310), (480, 310, 600, 310), (600, 310, 500, 430),
                 (410, 430, 500, 430), (480, 310, 500, 430), (650, 430, 595, 270)):  # fmt: skip
        pen.line([n * _SCALE for n in line], accent, 10 * _SCALE)
    _box(pen, 445, 292, 70, 14, "#4a453d", 7)
    _box(pen, 565, 262, 70, 12, "#4a453d", 6)
    _box(pen, 620, 280, 70, 46, "#a5785a", 6)


def _ring(pen: Draw, x: int, y: int, size: int) -> None:
    corners = [x * _SCALE, y * _SCALE, (x + size) * _SCALE, (y + size) * _SCALE]
    pen.ellipse(corners, outline="#39403c", width=10 * _SCALE)


def _court(pen: Draw, accent: str) -> None:
    _box(pen, 60, 440, 840, 130, accent)
    for x in (60, 300, 660, 896):
        _box(pen, x, 440, 4, 130, "#f3efe6")
    for y in (440, 503, 566):
        _box(pen, 60, y, 840, 4, "#f3efe6")
    for x in (474, 480):
        _box(pen, x, 310, 6, 250, "#4a453d")
    for y in range(315, 440, 14):
        _box(pen, 440, y, 80, 2, "#f3efe6")


def _desk(pen: Draw, accent: str) -> None:
    _box(pen, 480, 230, 240, 150, "#39403c", 10)
    _box(pen, 492, 242, 216, 126, "#cfe0e4", 4)
    _round(pen, 575, 260, 50, 50, "#d9a987")
    _box(pen, 552, 312, 96, 56, accent, 24)
    _box(pen, 592, 378, 16, 22, "#39403c")
    _table(pen, 330, 460)
    _round(pen, 390, 360, 44, 38, "#f3efe6")


def _loft(pen: Draw, accent: str) -> None:
    _box(pen, 420, 290, 30, 220, "#7b5f45", 6)
    _box(pen, 430, 400, 420, 80, "#f3efe6", 12)
    _box(pen, 560, 385, 300, 100, accent, 14)
    _box(pen, 450, 370, 110, 46, "#ffffff", 16)
    _box(pen, 430, 470, 430, 30, "#7b5f45", 6)
    for x in (440, 830):
        _box(pen, x, 498, 18, 36, "#5f4934")


_FURNITURE: dict[str, Callable[[Draw, str], None]] = {
    "meeting": _meeting,
    "board": _board,
    "booth": _booth,
    "studio": _studio,
    "bench": _bench,
    "bike": _bike,
    "court": _court,
    "desk": _desk,
    "loft": _loft,
}
