"""`table_lines`: rows of text below a head, in columns, as Docker sets them. PURE."""

from collections.abc import Sequence

_GAP = "   "


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The first line is the head."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
