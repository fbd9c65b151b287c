"""What can be wrong with a push, apart from this disk: the pusher must act. Each is answered by a code of its own."""

from agent.content.errors import ContentError, InputError, NotFound, ShoalError


class UploadUnknown(NotFound):
    """There is no such upload in this repository: never begun, ended, expired, or another repository's."""


class UploadBusy(InputError):
    """Somebody is sending to this upload at this moment."""


class TooManyUploads(ShoalError):
    """So many uploads are open that no other may begin."""


class WrongDigest(ContentError):
    """What was sent is not what its digest names."""


class InvalidManifest(ContentError):
    """A document that nobody could use, or two readers could read differently."""


class MissingContent(ContentError):
    """A manifest names what was not pushed to this repository."""


class TooFewCopies(ShoalError):
    """The push is stored here, but not by as many nodes as the configuration wants."""
