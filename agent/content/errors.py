"""Shoal's one tree of expected failures, split by who must act.

    ShoalError
    |- InputError        who called us: a malformed reference, digest, range, configuration
    |- NotFound          nobody: what was asked for does not exist where it was asked for
    |- ContentError      the content: bytes that do not match what vouches for them, unusable documents
    |- SourceError       the registry: unreachable, refusing, broken
    |  |- Unauthorized   our credentials for it (or their absence)
    |  `- Throttled      patience: it asks us to come back later
    |- PeerError         a neighbour in the swarm: dead, slow, lying, or speaking something else
    |- TrackerError      the tracker: unreachable or refusing
    |- AgentError        the agent on this machine, for commands that talk to it: not running, not answering
    `- DiskError         this machine: full disk, unreadable store, quota

Third-party errors are translated into these at the seam where they appear; everything above handles only these.
The text of each is fit for a user: what is wrong and, where it can be said, what would be right. No secrets.
"""


class ShoalError(Exception):
    """An expected failure, with a text fit for people."""


class InputError(ShoalError):
    """What the caller gave is malformed."""


class NotFound(ShoalError):
    """It does not exist where it was asked for."""


class ContentError(ShoalError):
    """Bytes that do not match what vouches for them, or a document nobody could use."""


class SourceError(ShoalError):
    """The registry could not be reached or did not keep to its protocol."""


class Unauthorized(SourceError):
    """The registry refuses this node's credentials, or wants some."""


class Throttled(SourceError):
    """The registry asks for patience (429, 503). `retry_after_seconds` is what it said, None where it said nothing."""

    def __init__(self, text: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class PeerError(ShoalError):
    """A neighbour failed: dead, slow, lying, or not speaking our protocol."""


class TrackerError(ShoalError):
    """The tracker could not be reached or refused."""


class AgentError(ShoalError):
    """The agent on this machine does not run, is not ours to talk to, or does not answer."""


class DiskError(ShoalError):
    """This machine's disk: full, over quota, unreadable."""
