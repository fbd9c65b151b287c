"""The two pictures of a rollout: when nodes were done, and how each chunk spread."""

from collections.abc import Sequence
from itertools import accumulate

from tracker.pictures.axes import Axes
from tracker.pictures.canvas import BLACK, Color

_BLUE: Color = (25, 113, 194)
_RED: Color = (224, 49, 49)
# From few copies to all: dark to light, as temperature is drawn.
_SCALE: tuple[Color, ...] = (
    (13, 8, 135),
    (84, 2, 163),
    (139, 10, 165),
    (185, 50, 137),
    (219, 92, 104),
    (244, 136, 73),
    (254, 188, 43),
    (240, 249, 33),
)


def completion_curve(finish_times: Sequence[float], nodes: int, bound_seconds: float) -> bytes:
    """finish_times: ascending. A PNG."""
    last = max([*finish_times, bound_seconds])
    axes = Axes(f"nodes complete, of {nodes:,}", "seconds", "per cent of the nodes", last * 1.05, 100.0)
    axes.draw_grid()
    bound_x = round(axes.x(bound_seconds))
    for top in range(axes.top, axes.top + axes.height, 12):
        axes.canvas.fill(bound_x, top, 2, 6, _RED)
    axes.canvas.text(bound_x - 8, axes.top + 10, "bound", _RED, align=1.0)
    points = [(0.0, 0.0)]
    for count, at in enumerate(finish_times, start=1):
        points += [(at, (count - 1) / nodes * 100), (at, count / nodes * 100)]
    axes.canvas.line([(axes.x(at), axes.y(share)) for at, share in points], _BLUE)
    axes.draw_frame("%")
    return axes.canvas.png()


def chunk_heat_map(arrivals: Sequence[Sequence[int]], slot_seconds: float, nodes: int, chunks: int) -> bytes:
    """arrivals: for each slot of time, the copies of each row of chunks that came within it. A PNG."""
    rows = len(arrivals[0]) if arrivals else 1
    seconds = len(arrivals) * slot_seconds
    axes = Axes(f"copies of each chunk, of {nodes:,}", "seconds", "chunk", seconds, float(chunks))
    copies = list(accumulate(arrivals, lambda one, two: [a + b for a, b in zip(one, two, strict=True)]))
    of_all = nodes * chunks / rows
    for x in range(axes.width):
        now = copies[min(x * len(copies) // axes.width, len(copies) - 1)] if copies else [0]
        for row, count in enumerate(now):
            top, end = axes.height - (row + 1) * axes.height // rows, axes.height - row * axes.height // rows
            axes.canvas.fill(axes.left + x, axes.top + top, 1, end - top, color_of(count / of_all))
    _draw_scale(axes)
    axes.draw_frame()
    return axes.canvas.png()


def _draw_scale(axes: Axes) -> None:
    width, left = 220, axes.left + axes.width - 220
    for x in range(width):
        axes.canvas.fill(left + x, 16, 1, 16, color_of(x / (width - 1)))
    axes.canvas.text(left - 10, 16, "no node", BLACK, scale=1, align=1.0)
    axes.canvas.text(left + width, 38, "every node", BLACK, scale=1, align=1.0)


def color_of(share: float) -> Color:
    """Of a share from 0 to 1, between the two nearest colours of the scale."""
    place = min(max(share, 0.0), 1.0) * (len(_SCALE) - 1)
    low = min(int(place), len(_SCALE) - 2)
    part = place - low
    one, two = _SCALE[low], _SCALE[low + 1]
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(one, two, strict=True))
    return red, green, blue
