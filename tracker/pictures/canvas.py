"""`Canvas`: pixels, the few things that charts are made of, and their PNG (ISO/IEC 15948)."""

import struct
import zlib
from itertools import pairwise

from tracker.pictures.font import GLYPHS, text_width

Color = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
BLACK: Color = (34, 40, 49)
GREY: Color = (222, 226, 230)


class Canvas:
    """Places count from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._rows = [bytearray(bytes(WHITE) * width) for _ in range(height)]

    def fill(self, left: int, top: int, width: int, height: int, color: Color) -> None:
        left, right = max(left, 0), min(left + width, self.width)
        if right <= left:
            return
        pixels = bytes(color) * (right - left)
        for y in range(max(top, 0), min(top + height, self.height)):
            self._rows[y][left * 3 : right * 3] = pixels

    def line(self, points: list[tuple[float, float]], color: Color, thick: int = 3) -> None:
        """Through all points, from left to right."""
        for (x1, y1), (x2, y2) in pairwise(points):
            steps = max(int(abs(x2 - x1)), int(abs(y2 - y1)), 1)
            for step in range(steps + 1):
                x, y = x1 + (x2 - x1) * step / steps, y1 + (y2 - y1) * step / steps
                self.fill(round(x) - thick // 2, round(y) - thick // 2, thick, thick, color)

    def text(
        self, left: int, top: int, text: str, color: Color = BLACK, scale: int = 2, align: float = 0.0
    ) -> None:
        """`align` 0: `left` is where it begins, 0.5: its middle, 1: its end. Letters are small ones."""
        x = left - round(text_width(text, scale) * align)
        for letter in text.lower():
            for row, pixels in enumerate(GLYPHS.get(letter, GLYPHS["-"])):
                for column, pixel in enumerate(pixels):
                    if pixel == "#":
                        self.fill(x + column * scale, top + row * scale, scale, scale, color)
            x += text_width(letter, scale) + scale

    def png(self) -> bytes:
        header = struct.pack(
            ">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0
        )  # 8 bits each of red, green, blue
        pixels = zlib.compress(b"".join(b"\0" + row for row in self._rows), 9)
        return b"\x89PNG\r\n\x1a\n" + _part(b"IHDR", header) + _part(b"IDAT", pixels) + _part(b"IEND", b"")


def _part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
