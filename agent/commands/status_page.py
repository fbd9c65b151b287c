"""`status_lines`: the agent's status object (agent/node/status.py) as lines for people. PURE."""

from collections.abc import Sequence
from typing import Any

import click

from agent.commands.quantities import counted, percent_text, rate_text, seconds_text, size_text

_LABEL_COLUMNS = 11
_MAX_ROWS = 20
_BAR_COLUMNS = 20

Rows = Sequence[tuple[str, ...]]


def status_lines(status: dict[str, Any], max_rows: int = _MAX_ROWS) -> list[str]:
    """Raises KeyError or TypeError for an object of another version. Styled with ANSI, which click.echo takes off."""
    return [
        *_head(status),
        *_traffic(status["traffic"]),
        *_section("Downloads", [_download(one) for one in status["downloads"]], max_rows),
        *_section("Pushes", [_push(one) for one in reversed(status.get("pushes", []))], max_rows),
        *_going_on(status.get("push_through", []), max_rows),
        *_section("Swarms", [_swarm(one) for one in _busy_first(status["swarms"])], max_rows),
        *_section("Peers", [_peer(one) for one in status["peers"]], max_rows),
    ]


def _head(status: dict[str, Any]) -> list[str]:
    node, tracker, store = status["node"], status["tracker"], status["store"]
    place = f"cluster {node['cluster']}" + (f", zone {node['zone']}" if node["zone"] else "")
    uptime = seconds_text(node["uptime_seconds"])
    limit = f" of {size_text(store['quota_bytes'])}" if store["quota_bytes"] else ""
    partial = f", {size_text(store['partial_bytes'])} unfinished" if store["partial_bytes"] else ""
    return [
        _line("Node", f"{click.style(node['name'], bold=True)} ({node['id']}), {place}, up {uptime}"),
        _line("Peer link", node["peer_address"]),
        _line("Tracker", _tracker_text(tracker)),
        _line(
            "Store",
            f"{size_text(store['blob_bytes'])}{limit} in {counted(store['blobs'], 'blob')}{partial}, "
            f"{size_text(store['free_bytes'])} free, at {store['path']}",
        ),
    ]


def _push(push: dict[str, Any]) -> tuple[str, ...]:
    outcome = "deleted" if push["deleted"] else "pushed"
    if push["by"]:
        outcome = f"outdone by node {push['by']}"
    return push["image"], push["digest"][:19], outcome


def _going_on(pushes: list[dict[str, Any]], max_rows: int) -> list[str]:
    """Nothing where there are none: most nodes push to no registry."""
    rows = [_push_through(one) for one in pushes]
    return _section("Going on to a registry", rows, max_rows) if rows else []


def _push_through(one: dict[str, Any]) -> tuple[str, ...]:
    match one["state"]:
        case "pushing":
            total = one["total_bytes"] or 0
            share = percent_text(one["sent_bytes"] / total if total else 0.0)
            outcome = f"pushing, {share} of {size_text(total)}"
        case "failed":
            outcome = f"again in {seconds_text(one['next_try_seconds'])}: {one['reason']}"
        case _:
            outcome = "waiting"
    return one["image"], f"to {one['target']}", outcome


def _tracker_text(tracker: dict[str, Any]) -> str:
    if not tracker["url"]:
        return "none: this node is alone"
    if not tracker["reached"]:
        return f"{tracker['url']}, {click.style('not reached', fg='red')}"
    return f"{tracker['url']}, {counted(tracker['nodes'], 'node')}"


def _traffic(traffic: dict[str, Any]) -> list[str]:
    total, rate = traffic["total_bytes"], traffic["bytes_per_second"]
    directions = (
        ("registry_in", "from registry"),
        ("peers_in", "from peers"),
        ("peers_out", "to peers"),
        ("clients_out", "to clients"),
    )
    rows = [(name, size_text(total[key]), rate_text(rate[key])) for key, name in directions]
    share = traffic["share_from_peers"]
    said = "nothing came in yet" if share is None else f"{percent_text(share)} of what came in is from peers"
    return ["", *_table(rows), f"  {_share_bar(share)} {said}"]


def _share_bar(share: float | None) -> str:
    filled = round((share or 0.0) * _BAR_COLUMNS)
    return click.style("═" * filled, fg="green") + click.style(
        "━" * (_BAR_COLUMNS - filled), fg="bright_black" if share is None else "yellow"
    )


def _download(one: dict[str, Any]) -> tuple[str, ...]:
    got = one["registry_bytes"] + one["peer_bytes"] + one["resumed_bytes"]
    size = one["size"]
    return (
        _short(one["digest"]),
        "?" if size is None else percent_text(min(got / size, 1.0) if size else 1.0),
        "of unknown size" if size is None else f"of {size_text(size)}",
        f"registry {size_text(one['registry_bytes'])}",
        f"peers {size_text(one['peer_bytes'])}",
        counted(one["peers"], "neighbour"),
        one["repository"],
    )


def _busy_first(swarms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is not whole yet, then what has most neighbours: there may be thousands that only wait to be asked."""
    return sorted(swarms, key=lambda one: (one["chunks_here"] == one["chunks"], -one["peers"]))


def _swarm(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        _short(one["digest"]),
        size_text(one["size"]),
        f"{one['chunks_here']}/{one['chunks']} chunks here",
        counted(one["peers"], "neighbour"),
    )


def _peer(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        one["id"],
        one["address"],
        f"received {size_text(one['received_bytes'])}",
        f"sent {size_text(one['sent_bytes'])}",
    )


def _section(title: str, rows: list[tuple[str, ...]], max_rows: int) -> list[str]:
    lines = ["", click.style(f"{title} ({len(rows)})", bold=True), *_table(rows[:max_rows])]
    if len(rows) > max_rows:
        lines.append(f"  and {len(rows) - max_rows} more")
    return lines


def _table(rows: Rows) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _line(label: str, text: str) -> str:
    return f"{label.ljust(_LABEL_COLUMNS)}{text}"


def _short(digest: str) -> str:
    return digest.partition(":")[2][:12]
