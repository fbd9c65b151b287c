"""Several processes on one store, and processes that are killed."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from agent.store.store import Store, StoreLimits
from tests.agent.store.sample import ALPINE, KIB, blob, fill, image

PROJECT = Path(__file__).parents[3]
PREAMBLE = """
import os, sys, signal
from pathlib import Path
from agent.store.store import Store, StoreLimits
from tests.agent.store.sample import *
root = Path(sys.argv[1])
def say(word):
    print(word, flush=True)
"""


def start(root: Path, script: str) -> subprocess.Popen[str]:
    code = PREAMBLE + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def end(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate("\n", timeout=30)
    assert process.returncode == 0
    return output.strip()


def test_verified_chunks_survive_kill_9(root: Path) -> None:
    digest, data = blob(500 * KIB)
    process = start(
        root,
        """
        store = Store(root)
        digest, data = blob(500 * KIB)
        partial = store.open_partial(digest, len(data))
        fill(partial, data, [0, 3, 5])
        store.put_tag(ALPINE, "3.20", image(1).descriptor, 1.0)
        store.put(*blob(10))
        say("ready")
        sys.stdin.readline()
        """,
    )
    assert hear(process) == "ready"
    with Store(root) as store, store.open_partial(digest, len(data)) as private:
        assert not private.have  # the other process lives and owns its partial
        private.discard()
    kill(process)
    with Store(root) as store:
        assert store.find_tag(ALPINE, "3.20")
        assert store.complete_digests() == [(blob(10)[0], 10)]
        with store.open_partial(digest, len(data)) as partial:
            assert list(partial.have) == [0, 3, 5]
            fill(partial, data)
            partial.commit()
        assert store.read(digest, len(data)) == data


def test_two_processes_fetch_the_same_blobs_at_once(root: Path) -> None:
    script = """
        with Store(root) as store:
            for seed in range(12):
                digest, data = blob(100 * KIB, seed)
                with store.open_partial(digest, len(data)) as partial:
                    fill(partial, data)
                    partial.commit()
                image(seed).put(store)
                store.put_tag(ALPINE, f"v{seed}", image(seed).descriptor, 1.0)
                assert store.size_of(digest) == len(data)
        say("done")
    """
    processes = [start(root, script) for _ in range(2)]
    assert [end(process) for process in processes] == ["done", "done"]
    with Store(root) as store:
        assert [one.complete for one in store.images()] == [True] * 12
        for seed in range(12):
            assert store.verify(blob(100 * KIB, seed)[0])
        assert len(store.complete_digests()) == 12 * 5
    assert not list((root / "partial").iterdir())


def test_one_process_evicts_while_another_stores_and_the_index_stays_true(root: Path) -> None:
    evictor = start(
        root,
        """
        with Store(root, StoreLimits(quota_bytes=0)) as store:
            say("ready")
            for _ in range(60):
                store.make_room(0)
        """,
    )
    assert hear(evictor) == "ready"
    with Store(root) as store:
        for seed in range(30):
            store.put(*blob(1000, seed))
        end(evictor)
        files = {path.name for path in (root / "blobs/sha256").iterdir()}
        assert {digest.hex for digest, _ in store.complete_digests()} == files


def test_what_a_killed_pull_held_is_free_again(root: Path) -> None:
    process = start(
        root,
        """
        store = Store(root)
        store.put(*blob(1000))
        with store.holding([blob(1000)[0]]):
            say("holding")
            sys.stdin.readline()
        """,
    )
    assert hear(process) == "holding"
    with Store(root, StoreLimits(quota_bytes=0)) as store:
        assert store.make_room(0) == 0
        kill(process)
        assert store.make_room(0) == 1000
    with Store(root):
        assert not list((root / "staging").iterdir())
    assert not list((root / "owners").iterdir())


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.08])
def test_kill_9_at_a_chance_moment_leaves_nothing_wrong(root: Path, moment: float) -> None:
    process = start(
        root,
        f"""
        import threading
        store = Store(root)
        say("ready")
        threading.Timer({moment}, os.kill, (os.getpid(), signal.SIGKILL)).start()
        for seed in range(10_000):
            image(seed, layer_bytes=70 * KIB).put(store)
            store.put_tag(ALPINE, f"v{{seed}}", image(seed, layer_bytes=70 * KIB).descriptor, 1.0)
        """,
    )
    assert hear(process) == "ready"
    process.wait(30)
    process.communicate()
    with Store(root) as store:
        for digest, _ in store.complete_digests():
            assert store.verify(digest)
        assert not list((root / "staging").iterdir())
        # At most the last image lacks something.
        assert sum(not one.complete for one in store.images()) <= 1


def test_a_limit_of_the_system_on_file_sizes_is_an_error_of_this_disk(root: Path) -> None:
    process = start(
        root,
        """
        import resource
        from agent.content.errors import DiskError
        store = Store(root)
        digest, data = blob(500 * KIB)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300 * KIB, 300 * KIB))
        try:
            store.open_partial(digest, len(data))
        except DiskError as error:
            say(error)
        store.put(*blob(1000))
        say(len(list((root / "partial").iterdir())))
        store.close()
        """,
    )
    said = end(process).splitlines()
    assert "cannot begin a download of 512000 bytes" in said[0]
    assert "File too large" in said[0]
    assert said[1] == "0"
    with Store(root) as store:
        assert store.verify(blob(1000)[0])


def test_a_lock_of_a_process_that_died_is_free(root: Path) -> None:
    process = start(
        root,
        """
        store = Store(root)
        with store._blobs.lock.held():
            say("locked")
            sys.stdin.readline()
        """,
    )
    assert hear(process) == "locked"
    kill(process)
    with Store(root) as store:
        store.put(*blob(10))
        assert os.listdir(root / "owners")


def test_images_of_one_process_are_seen_by_the_other(root: Path) -> None:
    with Store(root) as here, Store(root) as there:
        image(1).put(there)
        there.put_tag(ALPINE, "3.20", image(1).descriptor, 1.0)
        assert here.images() == there.images()
        assert here.read(image(1).descriptor.digest, 10_000) == image(1).body
        digest, data = blob(100)
        with there.open_partial(digest, 100) as partial:
            fill(partial, data)
            partial.commit()
        assert here.size_of(digest) == 100
