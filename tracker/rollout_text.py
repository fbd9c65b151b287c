"""What came of a simulated rollout, in words for people."""

from agent.commands.quantities import counted, percent_text, rate_text, seconds_text, size_text
from tracker.simulation.report import Report
from tracker.simulation.scenario import Scenario


def rollout_text(scenario: Scenario, report: Report) -> str:
    rows = {**_times(report), **_costs(scenario, report)}
    width = max(map(len, rows)) + 2
    lines = (f"{name:{width}}{value}" for name, value in rows.items())
    return "\n".join([_heading(scenario, report), "", *lines, _ending(report)])


def _heading(scenario: Scenario, report: Report) -> str:
    pull = "pulls" if scenario.nodes == 1 else "pull"
    return (
        f"{counted(scenario.nodes, 'node')} {pull} {size_text(scenario.image_bytes)} in "
        f"{counted(report.chunks, 'chunk')}, each with {rate_text(scenario.up)} up and {rate_text(scenario.down)} "
        f"down, from a registry with {rate_text(scenario.registry.rate)}."
    )


def _times(report: Report) -> dict[str, str]:
    bound = (
        f"{seconds_text(report.bound_seconds)}, with chunks of this size "
        f"{seconds_text(report.chunked_bound_seconds)}"
    )
    if not report.finish_times:
        return {
            "No node is ever done": f"within {seconds_text(report.seconds)}",
            "No schedule could beat": bound,
        }
    last = "The last that is done is so after" if report.stuck_nodes else "The last node is done after"
    return {
        last: f"{seconds_text(report.max_seconds)}, half of them after "
        f"{seconds_text(report.p50_seconds)}, 99 of 100 after {seconds_text(report.p99_seconds)}",
        "No schedule could beat": f"{bound}; this is {report.max_over_bound:.2f} times the bound",
    }


def _costs(scenario: Scenario, report: Report) -> dict[str, str]:
    size, copies = scenario.image_bytes, report.registry_copies
    direct = max(scenario.nodes * size / scenario.registry.rate, size / scenario.down)
    rows = {
        "Pulling straight takes": f"{seconds_text(direct)} at the least",
        "The registry sends": f"{size_text(copies * size)} ({copies:.2f} copies) in "
        f"{counted(report.registry_requests, 'request')}, {report.registry_refusals} of them refused",
        "Each node exchanges": f"{report.messages_per_node:.0f} messages; fairness of uploads {report.fairness:.2f}",
    }
    if report.cross_zone_ratio:
        between = f"{size_text(report.cross_zone_bytes)}, {report.cross_zone_ratio:.2f} times the least"
        rows["Between zones go"] = between
    return rows


def _ending(report: Report) -> str:
    """Of nodes that are killed for good, hostile, or out of room nobody expects that they complete."""
    stuck, done = report.stuck_nodes, len(report.finish_times)
    if stuck:
        return (
            f"{counted(stuck, 'node')} never done: with {percent_text(report.stuck_share)} of their chunks "
            f"after {seconds_text(report.seconds)}, when the simulation gave up"
        )
    if done == report.nodes:
        return "Every node completes"
    return f"{done} of {report.nodes} nodes complete; the others are killed for good, hostile, or out of room"
