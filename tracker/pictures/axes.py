"""`Axes`: a frame with round numbers along it, and from the values of a chart to places on the canvas."""

from tracker.pictures.canvas import BLACK, GREY, Canvas

WIDTH, HEIGHT = 1000, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 100, 40, 70, 80
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


class Axes:
    def __init__(self, title: str, x_label: str, y_label: str, x_most: float, y_most: float) -> None:
        self.canvas = Canvas(WIDTH, HEIGHT)
        self.left, self.top = _LEFT, _TOP
        self.width, self.height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        self.x_most = x_most or 1.0
        self.y_most = y_most or 1.0
        self.canvas.text(_LEFT, 14, title)
        self.canvas.text(_LEFT, _TOP - 22, y_label, scale=1)
        self.canvas.text(_LEFT + self.width // 2, HEIGHT - 30, x_label, align=0.5)

    def x(self, value: float) -> float:
        return self.left + value / self.x_most * self.width

    def y(self, value: float) -> float:
        return self.top + self.height - value / self.y_most * self.height

    def draw_grid(self) -> None:
        for value in round_numbers(self.x_most):
            self.canvas.fill(round(self.x(value)), self.top, 1, self.height, GREY)
        for value in round_numbers(self.y_most):
            self.canvas.fill(self.left, round(self.y(value)), self.width, 1, GREY)

    def draw_frame(self, y_unit: str = "") -> None:
        """Last, over what is in it."""
        canvas, bottom = self.canvas, self.top + self.height
        canvas.fill(self.left - 2, self.top, 2, self.height + 2, BLACK)
        canvas.fill(self.left - 2, bottom, self.width + 2, 2, BLACK)
        for value in round_numbers(self.x_most):
            canvas.fill(round(self.x(value)), bottom, 2, 7, BLACK)
            canvas.text(round(self.x(value)), bottom + 12, number_text(value), align=0.5)
        for value in round_numbers(self.y_most):
            canvas.fill(self.left - 8, round(self.y(value)), 8, 2, BLACK)
            canvas.text(self.left - 14, round(self.y(value)) - 8, number_text(value) + y_unit, align=1.0)


def round_numbers(most: float) -> list[float]:
    """0 and up to a handful of round numbers below `most`."""
    rough = most / 6
    power = 10.0 ** _exponent(rough)
    step = next(factor * power for factor in _STEPS if factor * power >= rough * 0.999)
    return [step * count for count in range(int(most / step + 1e-9) + 1)]


def number_text(value: float) -> str:
    return f"{value:.6g}"


def _exponent(value: float) -> int:
    exponent = 0
    while value >= 10:
        value, exponent = value / 10, exponent + 1
    while value < 1:
        value, exponent = value * 10, exponent - 1
    return exponent
