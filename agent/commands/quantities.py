"""Numbers in the words people know from Docker: sizes in 1000s with three digits, "3 days ago". PURE."""

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def size_text(count: float) -> str:
    """`29.1MB`; three digits, in 1000s."""
    value = float(count)
    for unit in _UNITS:
        # What would round up to 1000 belongs to the next unit: Docker writes 1e+03MB there.
        if value < 999.5 or unit == _UNITS[-1]:
            return f"{value:.3g}{unit}" if value < 999.5 else f"{value:.0f}{unit}"
        value /= 1000
    raise AssertionError("the last unit takes everything")


def rate_text(bytes_per_second: float) -> str:
    return f"{size_text(bytes_per_second)}/s"


def percent_text(share: float) -> str:
    """What is not all, or not nothing, is not written as if it were."""
    percent = share * 100
    if 0 < percent < 1:
        return "<1%"
    return f"{min(percent, 99.0) if percent < 100 else 100:.0f}%"


def seconds_text(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 1 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, smaller, name, smaller_name in (
        (_DAY, _HOUR, "d", "h"),
        (_HOUR, _MINUTE, "h", "min"),
        (_MINUTE, 1, "min", "s"),
    ):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // smaller} {smaller_name}"
    return f"{whole} s"


def ago_text(seconds: float) -> str:
    """`3 days ago`, in Docker's steps."""
    if seconds < 1:
        return "Less than a second ago"
    if seconds < _MINUTE:
        return f"{counted(int(seconds), 'second')} ago"
    minutes = int(seconds // _MINUTE)
    if minutes < 60:
        return "About a minute ago" if minutes == 1 else f"{minutes} minutes ago"
    hours = int(seconds / _HOUR + 0.5)
    if hours < 48:
        return "About an hour ago" if hours == 1 else f"{hours} hours ago"
    days = hours // 24
    if days < 14:
        return f"{days} days ago"
    if days < 60:
        return f"{days // 7} weeks ago"
    return f"{days // 30} months ago" if days < 730 else f"{days // 365} years ago"


def counted(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
