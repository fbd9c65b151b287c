"""`table_lines`: rows of text below a head, in columns, as Docker sets them. PURE.

Cells may be an image's own words (what made a layer, a comment): a character that a terminal would obey, or that would
break the line, is a space here.
"""

from collections.abc import Sequence

_GAP = "   "


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The first line is the head."""
    lines = [tuple(head), *(tuple(map(_harmless, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _harmless(cell: str) -> str:
    return "".join(character if character.isprintable() else " " for character in cell)
