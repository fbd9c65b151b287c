"""`stop_if_cancelled`: long work in a worker thread ends soon after the build was interrupted."""

import trio


def stop_if_cancelled() -> None:
    """Raises trio.Cancelled in a thread whose task was cancelled; nothing where trio did not start the thread."""
    try:
        trio.from_thread.check_cancelled()
    except RuntimeError:
        pass
