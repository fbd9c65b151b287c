"""Snapshots on overlay itself: what a step sees, what its layer says, and that both agree once they are unpacked."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.errors import ContentError, DiskError
from agent.content.media_types import OCI_LAYER
from agent.images.stored_blob import stored_layer
from agent.images.tar_reader import TarReader
from agent.store.store import Store
from builder.layers.overlay import mount_layers
from builder.layers.recipes import recipe_for
from builder.layers.snapshots import Snapshots
from builder.plan.layer import Chain, Layer
from tests.builder.layers.tars import Member, file, hard_link, reader, tar_of
from tests.clients.scratch import mounts_below

pytestmark = pytest.mark.real("busybox")

QUICK = recipe_for("gzip", 1)


@pytest.fixture
def store(scratch: Path) -> Iterator[Store]:
    with Store(scratch / "store") as store:
        yield store


@pytest.fixture
def snapshots(scratch: Path, store: Store) -> Iterator[Snapshots]:
    with Snapshots(scratch / "snapshots", store) as snapshots:
        yield snapshots


def layer_of(store: Store, members: Sequence[Member]) -> Layer:
    tar = tar_of(members)
    digest = Digest.of(tar)
    store.put(digest, tar)
    return Layer(Descriptor(OCI_LAYER, digest, len(tar)), digest)


def step(snapshots: Snapshots, chain: Chain, script: str, epoch: int | None = None) -> Chain:
    """`script` runs in the tree, with the shell of this machine."""
    with snapshots.writable(chain) as tree:
        subprocess.run(["sh", "-ec", script], cwd=tree.path, check=True)
        layer = snapshots.finish(tree, chain, recipe=QUICK, epoch=epoch)
    return chain if layer is None else (*chain, layer)


def listing(snapshots: Snapshots, chain: Chain) -> dict[str, tuple[object, ...]]:
    """Of every path, what an image carries of it."""
    found: dict[str, tuple[object, ...]] = {}
    with snapshots.mounted(chain) as root:
        for path in [root, *root.rglob("*")]:
            status = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            facts = (status.st_mode, status.st_uid, status.st_gid, int(status.st_mtime), content)
            found[str(path.relative_to(root))] = facts[: 3 if path == root else 5]
    return found


def names(store: Store, layer: Layer) -> list[str]:
    pieces = b"".join(stored_layer(store, layer.blob.digest))
    tar = TarReader(reader(pieces))
    return [entry.name for entry in iter(tar.next_entry, None)]


def test_steps_on_steps_and_the_same_from_the_layers_alone(snapshots: Snapshots, store: Store) -> None:
    chain = step(snapshots, (), "mkdir -p d/deep e; echo 1 > d/a; echo 2 > d/b; ln d/b d/c; chmod 1777 e")
    chain = step(snapshots, chain, "rm d/a; echo 3 >> d/b; mv e f; ln -s /d link; chown -h 5:6 link")
    chain = step(
        snapshots, chain, "rm -r d; mkdir d; echo new > d/new; chmod 750 .; setfattr -n user.x f || true"
    )
    before = listing(snapshots, chain)
    assert snapshots.prune().count == 3
    assert snapshots.missing(chain) == chain
    assert listing(snapshots, chain) == before
    assert snapshots.missing(chain) == ()
    assert before["d/new"][-1] == b"new\n"
    assert "d/b" not in before


def test_what_a_step_did_is_all_that_its_layer_says(snapshots: Snapshots, store: Store) -> None:
    chain = step(snapshots, (), "mkdir -p a/b c; echo 1 > a/b/x; echo 2 > c/y; echo 3 > c/z")
    (*_, layer) = chain = step(
        snapshots, chain, "mv a/b/x t; mv t a/b/x; chmod 600 c/y; chmod 644 c/y; rm c/z"
    )
    assert names(store, layer) == ["c/", "c/.wh.z"]
    (*_, layer) = chain = step(snapshots, chain, "rm -r a; mkdir a; echo > a/n")
    assert names(store, layer) == ["a/", "a/.wh.b", "a/n"]


def test_a_step_without_changes_has_no_layer(snapshots: Snapshots) -> None:
    chain = step(snapshots, (), "echo > x")
    assert step(snapshots, chain, "echo > y; rm y; cat x; touch -r x .") == chain


def test_the_epoch_makes_a_step_repeatable(snapshots: Snapshots) -> None:
    script = "mkdir d; echo 1 > d/x; touch -d @5 d/old"
    first, second = (step(snapshots, (), script, epoch=1_000_000)[0] for _ in range(2))
    assert first == second


def test_what_lower_layers_have_shows_in_those_above(snapshots: Snapshots, store: Store) -> None:
    lower = layer_of(store, [file("tmp/x", b"1"), file("lib/a", b"data"), file("gone")])
    upper = layer_of(store, [file("tmp/y"), hard_link("lib/b", "lib/a"), file(".wh.gone")])
    with snapshots.mounted((lower, upper)) as root:
        assert sorted(os.listdir(root)) == ["lib", "tmp"]
        assert (root / "lib/b").samefile(root / "lib/a")
        with pytest.raises(OSError, match="Read-only"):
            (root / "x").touch()


def test_what_was_not_finished_is_gone(snapshots: Snapshots, scratch: Path) -> None:
    with snapshots.writable(()) as tree:
        (tree.path / "x").touch()
    with snapshots.mounted(()) as root:
        assert os.listdir(root) == []
    assert mounts_below(scratch) == []


@pytest.mark.slow
def test_far_more_layers_than_mount_has_room_for_names(snapshots: Snapshots, store: Store) -> None:
    chain = tuple(layer_of(store, [file(f"f{number}")]) for number in range(300))
    with snapshots.writable(chain) as tree:
        assert len(os.listdir(tree.path)) == 300


def test_more_layers_than_overlay_takes_are_told(scratch: Path) -> None:
    with pytest.raises(DiskError, match="800 layers are more than one mount can take"):
        mount_layers(scratch, ["0abc/f"] * 800, scratch, None)


def test_a_blob_that_is_not_what_the_image_says_is_refused(snapshots: Snapshots, store: Store) -> None:
    layer = layer_of(store, [file("x")])
    other = Layer(layer.blob, Digest.of(b"another"))
    with pytest.raises(ContentError, match="is not the sha256:"), snapshots.mounted((other,)):
        pass
    assert snapshots.missing((other,)) == (other,)


def test_a_layer_that_is_not_here_is_told(snapshots: Snapshots, store: Store) -> None:
    layer = layer_of(store, [file("x")])
    store.remove(layer.blob.digest)
    with pytest.raises(ContentError, match="not in the store"), snapshots.writable((layer,)):
        pass


def test_many_threads_and_processes_unpack_a_layer_once(
    snapshots: Snapshots, store: Store, scratch: Path
) -> None:
    chain = tuple(layer_of(store, [file(f"f{number}", b"x" * 100_000)]) for number in range(4))

    def look(one: Snapshots) -> int:
        with one.mounted(chain) as root:
            return len(os.listdir(root))

    with Snapshots(scratch / "snapshots", store) as other, ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, [snapshots, other] * 8)) == {4}
        other.clean_up()
        assert len(os.listdir(scratch / "snapshots/s")) == 4 + 2


def test_what_is_in_use_is_not_pruned_and_the_least_recently_used_goes_first(
    snapshots: Snapshots, store: Store, scratch: Path
) -> None:
    chains = [(layer_of(store, [file(f"f{number}", b"x" * 10_000)]),) for number in range(3)]
    for number, chain in enumerate(chains):
        with snapshots.mounted(chain):
            pass
        link = scratch / "snapshots/chains" / chain[0].diff_id.hex
        os.utime(link, (number, number), follow_symlinks=False)
    with Snapshots(scratch / "snapshots", store) as other, other.mounted(chains[0]) as root:
        assert snapshots.prune(keep_bytes=1_000_000).count == 0
        assert snapshots.prune(unused_seconds=1e9).size_bytes > 20_000
        assert os.listdir(root) == ["f0"]
        assert [len(snapshots.missing(chain)) for chain in chains] == [0, 1, 1]
        assert snapshots.prune().count == 0
    assert snapshots.prune().count == 1


KILLED = """
import sys
from pathlib import Path
from agent.store.store import Store
from builder.layers.snapshots import Snapshots
scratch = Path(sys.argv[1])
with Store(scratch / "store") as store, Snapshots(scratch / "snapshots", store) as snapshots:
    with snapshots.writable(()) as tree, snapshots.mounted(()):
        (tree.path / "x").touch()
        print("mounted", flush=True)
        sys.stdin.read()
"""


@pytest.mark.slow
def test_what_a_killed_build_left_is_cleaned_up_and_the_living_are_left_alone(
    snapshots: Snapshots, scratch: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(scratch)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mounted\n"
        snapshots.clean_up()
        assert len(mounts_below(scratch)) == 2
        process.send_signal(signal.SIGKILL)
    with snapshots.writable(()) as tree:
        snapshots.clean_up()
        assert mounts_below(scratch) == [str(tree.path)]
        assert len(os.listdir(scratch / "snapshots/work")) == 2  # ours, and its mark of life


def test_a_snapshot_that_was_not_published_is_removed_not_used(
    snapshots: Snapshots, store: Store, scratch: Path
) -> None:
    layer = layer_of(store, [file("x", b"whole")])
    half = scratch / "snapshots/s/dead/f"
    half.mkdir(parents=True)
    (half / "x").touch()
    with snapshots.mounted((layer,)) as root:
        assert (root / "x").read_bytes() == b"whole"
    snapshots.clean_up()
    assert not half.exists()


def test_after_a_crash_of_the_machine_only_what_was_synced_counts(scratch: Path, store: Store) -> None:
    chains = [(layer_of(store, [file(f"f{number}")]),) for number in range(2)]
    with Snapshots(scratch / "snapshots", store) as snapshots:
        for chain in chains:
            with snapshots.mounted(chain):
                pass
            if chain is chains[0]:
                for boot in (scratch / "snapshots/s").glob("*/boot"):
                    os.utime(boot, (0, 0))
                snapshots.clean_up()
    (scratch / "snapshots/boot").write_text("another run of the machine")
    with Snapshots(scratch / "snapshots", store) as snapshots:
        assert [len(snapshots.missing(chain)) for chain in chains] == [0, 1]


def test_without_the_right_to_mount_it_is_said_what_is_missing(scratch: Path) -> None:
    script = """
import os
from pathlib import Path
from agent.content.errors import DiskError
from builder.layers.overlay import mount_layers
os.setgid(65534), os.setuid(65534)
try:
    mount_layers(Path("/"), ["usr", "etc"], Path("/mnt"), None)
except DiskError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "takes root (CAP_SYS_ADMIN)" in said


def test_who_is_not_root_is_told_so_before_anything_is_unpacked(scratch: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from agent.content.errors import DiskError
from agent.store.store import Store
from builder.layers.snapshots import Snapshots
scratch = Path(sys.argv[1])
scratch.chmod(0o777), os.setgid(65534), os.setuid(65534)
with Store(scratch / "its") as store, Snapshots(scratch / "of-nobody", store) as snapshots:
    try:
        with snapshots.mounted(()):
            pass
    except DiskError as error:
        print(error)
"""
    command = [sys.executable, "-c", script, str(scratch)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "cannot build as user 65534" in said
    assert "takes root (CAP_SYS_ADMIN): run it as root" in said


def test_files_of_images_are_nobody_elses_to_run(snapshots: Snapshots, scratch: Path) -> None:
    with snapshots.mounted(()):
        assert (scratch / "snapshots").stat().st_mode & 0o777 == 0o700
