"""What counts as verified, and what scripts are told."""

from rich.console import Console

from tests.demo.progress import NodeProgress
from tests.demo.summary import Summary
from tests.demo.verification import Verdict
from tests.demo.view import View

DIGEST = f"sha256:{'a' * 64}"


def _node(name: str, *, registry_bytes: int = 0, peer_bytes: int = 0) -> NodeProgress:
    node = NodeProgress(name)
    layer = {"digest": "sha256:b", "size": 90, "done_bytes": 90, "registry_bytes": 0, "peer_bytes": 90}
    node.on_line({"digest": DIGEST, "layers": [layer], "outcome": "done"}, 2.0)
    node.registry_bytes, node.peer_bytes = registry_bytes, peer_bytes
    return node


def _verdict(*problems: str) -> Verdict:
    return Verdict({DIGEST: 10, "sha256:b": 90}, list(problems))


def test_scripts_are_told_what_was_measured_at_the_registry() -> None:
    nodes = [_node("node-1", registry_bytes=100), _node("node-2", peer_bytes=100)]
    summary = Summary.of(nodes, {"node-1": _verdict(), "node-2": _verdict()}, DIGEST, 110)
    assert summary.as_json() == {
        "nodes": 2,
        "seconds": 2.0,
        "image_bytes": 100,
        "registry_bytes": 110,
        "registry_copies": 1.1,
        "peer_bytes": 100,
        "verified": True,
    }


def test_a_registry_that_cannot_be_measured_is_counted_by_the_nodes() -> None:
    nodes = [_node("node-1", registry_bytes=100), _node("node-2", peer_bytes=100)]
    summary = Summary.of(nodes, {"node-1": _verdict(), "node-2": _verdict()}, None, None)
    assert (summary.registry_bytes, summary.verified) == (100, True)


def test_a_node_that_failed_leaves_the_whole_unverified() -> None:
    failed = _node("node-2")
    failed.on_line(
        {"digest": None, "layers": [], "outcome": "failed", "kind": "NotFound", "error": "no"}, 2.0
    )
    summary = Summary.of([_node("node-1"), failed], {"node-1": _verdict()}, DIGEST, 100)
    assert not summary.verified
    assert summary.problems == ("node-2: NotFound: no",)


def test_a_wrong_blob_or_another_image_leaves_the_whole_unverified() -> None:
    nodes = [_node("node-1")]
    assert not Summary.of(nodes, {"node-1": _verdict("a blob is wrong")}, DIGEST, 100).verified
    assert not Summary.of(nodes, {"node-1": _verdict()}, f"sha256:{'c' * 64}", 100).verified
    assert not Summary.of(nodes, {}, DIGEST, 100).verified


def test_the_live_view_has_a_line_a_node() -> None:
    console = Console(force_terminal=True, width=100, record=True)
    nodes = [_node("node-1", registry_bytes=90), _node("node-2", peer_bytes=90)]
    with View(console).showing(nodes) as shown:
        shown.refresh()
    text = console.export_text()
    assert "node-1" in text
    assert "100% from peers" in text


def test_without_a_terminal_a_node_is_told_of_once_when_it_ends() -> None:
    console = Console(force_terminal=False, width=100, record=True)
    nodes = [NodeProgress("node-1"), _node("node-2", peer_bytes=90)]
    with View(console).showing(nodes) as shown:
        shown.refresh()
        shown.refresh()
    assert console.export_text().strip() == "node-2  0.0 MB in 2.0 s, 100% from peers"
