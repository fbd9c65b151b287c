"""`ClusterRow`: one scenario as measured; a line of the table, an object of the JSON file."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """`seconds`: until the last node has the image, whole and verified. `bound_seconds` at the rates as measured.
    None: not measured. Link rates are payload, in bytes per second. `machine_busy`: CPU time of everything on this
    machine during the pull over what its cores had."""

    scenario: str
    nodes: int
    image_bytes: int
    moved_bytes: int
    seconds: float
    bound_seconds: float
    ratio: float
    registry_copies: float
    direct_seconds: float | None
    cache_seconds: float | None
    cpu_seconds_per_node: float
    peak_rss_bytes: int
    machine_busy: float
    node_bytes_per_second: float
    registry_bytes_per_second: float

    @property
    def name(self) -> str:
        return self.scenario

    def line(self) -> str:
        mbit = [rate * 8 / 1e6 for rate in (self.node_bytes_per_second, self.registry_bytes_per_second)]
        return (
            f"{self.scenario:42} {self.seconds:8.2f} {self.bound_seconds:7.2f} {self.ratio:6.2f} "
            f"{self.registry_copies:7.3f} {_seconds(self.direct_seconds)} {_seconds(self.cache_seconds)} "
            f"{self.cpu_seconds_per_node:7.2f} {self.peak_rss_bytes / MIB:7.0f} {self.machine_busy:6.0%} "
            f"{mbit[0]:6.1f} {mbit[1]:8.1f}"
        )


HEADING = (
    f"{'':42} {'seconds':>8} {'bound':>7} {'ratio':>6} {'copies':>7} {'straight':>8} {'cache':>8} {'CPU s':>7} "
    f"{'MiB':>7} {'busy':>6} {'Mbit/s':>6} {'registry':>8}"
)


def _seconds(value: float | None) -> str:
    return f"{'-':>8}" if value is None else f"{value:8.2f}"
