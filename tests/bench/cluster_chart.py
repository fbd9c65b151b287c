"""The picture of the shaped cluster: how long Shoal, a pull-through cache and straight pulls take in the same scenario,
and the bound that nothing can beat.

    python -m tests.bench.cluster_chart ROWS.json PICTURE.png
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracker.pictures.canvas import BLACK, GREY, Canvas, Color

_KINDS: tuple[tuple[str, str, Color], ...] = (
    ("bound_seconds", "bound", (134, 142, 150)),
    ("seconds", "shoal", (25, 113, 194)),
    ("cache_seconds", "cache", (240, 140, 0)),
    ("direct_seconds", "straight", (224, 49, 49)),
)
_WIDTH, _LEFT, _TOP, _BAR, _GAP = 1000, 470, 70, 16, 18


def draw(rows: Sequence[dict[str, Any]]) -> bytes:
    """A group of bars a row, longer is slower; a PNG."""
    group = len(_KINDS) * _BAR + _GAP
    canvas = Canvas(_WIDTH, _TOP + group * len(rows) + 20)
    canvas.text(20, 14, "seconds until the last node has the image")
    _draw_legend(canvas)
    longest = max(row[key] or 0.0 for row in rows for key, _, _ in _KINDS)
    scale = (_WIDTH - _LEFT - 110) / longest
    for number, row in enumerate(rows):
        top = _TOP + number * group
        canvas.text(20, top + group // 2 - 16, row["scenario"], BLACK, scale=1)
        canvas.fill(20, top + group - _GAP // 2, _WIDTH - 40, 1, GREY)
        for place, (key, _, color) in enumerate(_KINDS):
            if row[key] is not None:
                y, width = top + place * _BAR, max(round(row[key] * scale), 2)
                canvas.fill(_LEFT, y, width, _BAR - 3, color)
                canvas.text(_LEFT + width + 8, y + 3, f"{row[key]:.1f}", BLACK, scale=1)
    return canvas.png()


def _draw_legend(canvas: Canvas) -> None:
    for place, (_, name, color) in enumerate(_KINDS):
        left = _LEFT + place * 120
        canvas.fill(left, 46, 14, 14, color)
        canvas.text(left + 22, 48, name, BLACK, scale=1)


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(draw(json.loads(Path(sys.argv[1]).read_text())))
