"""The calls to the tracker about the cluster's own images: `publish`, `find`, `names`, `replicate`.

A name (a tag, or a manifest's digest) of a repository stands for the record with the greatest stamp; the tracker gives
the time of a new one, so that all nodes agree who came last. Its state is soft: every node keeps the records that it
has met and tells them again to a tracker that was restarted.
"""

from dataclasses import dataclass
from typing import Any

from agent.content.digest import Digest
from agent.content.errors import InputError
from agent.content.pushed import PushedName
from agent.content.reference import CLUSTER_REGISTRY, Repository, is_tag
from agent.wire.node_id import NODE_ID, NodeId
from agent.wire.shape import DIGEST, FLAG, Malformed, Shape, listing, optional, record, seconds, text, uint
from agent.wire.tracker_calls import PEER_ADDRESS, PeerAddress

MAX_NAMES_A_CALL = 5000
MAX_LISTED = 1000
MAX_ASKED = 100
MAX_NEEDED = 10_002  # a manifest with its config and layers


@dataclass(frozen=True, slots=True)
class Publish:
    """names: `at` 0 asks for the time: it is pushed (or deleted) now. Any other is told as it was told before."""

    cluster: str
    node: NodeId
    names: tuple[PushedName, ...]


@dataclass(frozen=True, slots=True)
class PublishAnswer:
    """What each name stands for now, in the order of the call: the record that was told, or the one that outdid it."""

    names: tuple[PushedName, ...]


@dataclass(frozen=True, slots=True)
class Find:
    cluster: str
    node: NodeId
    repository: str
    name: str


@dataclass(frozen=True, slots=True)
class FindAnswer:
    """It may say that the name was deleted. tracker_seconds: for how long this tracker has been running: one that has
    just started does not know yet what the nodes are about to tell it."""

    record: PushedName | None
    tracker_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Names:
    """Tags of `repository`; with a `subject` the manifests that refer to it; of no repository: the repositories.

    last: those that follow it in the order of listings.
    """

    cluster: str
    node: NodeId
    repository: str
    subject: Digest | None
    last: str
    limit: int


@dataclass(frozen=True, slots=True)
class NamesAnswer:
    """names: tags or repositories. records: of the manifests that refer to the subject. more: others follow.
    tracker_seconds: as of FindAnswer."""

    names: tuple[str, ...]
    records: tuple[PushedName, ...]
    exists: bool
    more: bool
    tracker_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Replicate:
    """`wanted` nodes shall hold this manifest or index whole, `needed` being all the blobs of it and itself. name: the
    tag that it is pushed under, or its digest."""

    cluster: str
    node: NodeId
    repository: str
    name: str
    digest: Digest
    size: int
    needed: tuple[Digest, ...]
    wanted: int


@dataclass(frozen=True, slots=True)
class ReplicateAnswer:
    """holders: nodes that hold all of it now. nodes: how many there are that could. asked: who is to fetch it and has
    not yet: they hear of it with the answer to their next call, or at once where they are told to call."""

    holders: int
    nodes: int
    asked: tuple[PeerAddress, ...] = ()


def _repository(value: Any) -> str:
    """A name on the cluster's registry, checked; "" where none is meant."""
    name = _TEXT.decode(value)
    try:
        return name and Repository.of(CLUSTER_REGISTRY, name).name
    except InputError as error:
        raise Malformed(str(error)) from None


def _name(value: Any) -> str:
    name = _TEXT.decode(value)
    if not is_tag(name):
        try:
            Digest.parse(name)
        except InputError:
            raise Malformed("expected a tag or a digest") from None
    return name


_TEXT = text(300)
_REPOSITORY: Shape[str] = Shape(_repository, _TEXT.encode)
_NAME: Shape[str] = Shape(_name, _TEXT.encode)
_CLUSTER = text(100)
_SIZE = uint(1 << 40)
_PUSHED: Shape[PushedName] = record(
    PushedName, _REPOSITORY, _NAME, DIGEST, _SIZE, text(200), optional(DIGEST), seconds(), NODE_ID, FLAG
)
PUBLISH: Shape[Publish] = record(Publish, _CLUSTER, NODE_ID, listing(_PUSHED, MAX_NAMES_A_CALL))
PUBLISH_ANSWER: Shape[PublishAnswer] = record(PublishAnswer, listing(_PUSHED, MAX_NAMES_A_CALL))
FIND: Shape[Find] = record(Find, _CLUSTER, NODE_ID, _REPOSITORY, _NAME)
FIND_ANSWER: Shape[FindAnswer] = record(FindAnswer, optional(_PUSHED), seconds())
NAMES: Shape[Names] = record(
    Names, _CLUSTER, NODE_ID, _REPOSITORY, optional(DIGEST), text(300), uint(MAX_LISTED)
)
NAMES_ANSWER: Shape[NamesAnswer] = record(
    NamesAnswer, listing(text(300), MAX_LISTED), listing(_PUSHED, MAX_LISTED), FLAG, FLAG, seconds()
)
REPLICATE: Shape[Replicate] = record(
    Replicate, _CLUSTER, NODE_ID, _REPOSITORY, _NAME, DIGEST, _SIZE, listing(DIGEST, MAX_NEEDED), uint(100)
)
REPLICATE_ANSWER: Shape[ReplicateAnswer] = record(
    ReplicateAnswer, uint(), uint(), listing(PEER_ADDRESS, MAX_ASKED)
)
