"""`build` as programs use it: what is refused before anything is done, what is told, what is left open."""

import gc
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.content.digest import Digest
from agent.content.errors import InputError, NotFound
from agent.content.platform import Platform
from agent.content.reference import BUILD_CACHE, Reference
from agent.node.pull_progress import OnProgress, PullProgress
from agent.store.store import Store
from agent.wire.vouch import NodeKey
from builder.build import build
from builder.cache.cluster import Trust
from builder.execution.step_failure import StepFailed
from builder.output import Output
from builder.progress.events import Ended, Event, Started
from builder.progress.events import Output as Shown
from builder.request import BuildRequest
from tests.builder.building import AMD64, Told, build_in, put_image, surroundings

ARM64 = Platform("linux", "arm64")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


async def test_a_missing_file_is_told_with_its_line(tmp_path: Path, store: Store) -> None:
    put_image(store, "base:1")
    with pytest.raises(StepFailed, match='"/nowhere": not found') as failed:
        await build_in(tmp_path, store, "FROM base:1\nCOPY nowhere /\n")
    assert failed.value.line == 2
    assert isinstance(failed.value.cause, InputError)


async def test_images_that_are_not_there_are_one_failure_and_no_group(tmp_path: Path, store: Store) -> None:
    view = Told()
    with pytest.raises(StepFailed, match="there is no image") as failed:
        await build_in(tmp_path, store, "FROM no/one:1 AS a\nFROM no/two:1\nCOPY --from=a /x /\n", view=view)
    assert isinstance(failed.value.cause, NotFound)
    outcomes = {outcome for title, outcome in view.outcomes().items() if "metadata" in title}
    assert outcomes <= {"failed", "cancelled"}
    assert "failed" in outcomes


@pytest.mark.parametrize(
    "dockerfile",
    [
        "FROM base:1\nFROM no/one:1\n",
        "FROM base:1\nCOPY --from=no/one:1 / /\n",
        "FROM base:1\nRUN --mount=from=no/one:1,target=/x true\n",
        "FROM base:1\nFROM triggers:1\n",
    ],
)
async def test_an_image_that_is_not_there_is_told_with_the_line_that_names_it(
    tmp_path: Path, store: Store, dockerfile: str
) -> None:
    put_image(store, "base:1")
    put_image(store, "triggers:1", OnBuild=["COPY --from=no/one:1 / /"])
    with pytest.raises(StepFailed, match="no/one:1") as failed:
        await build_in(tmp_path, store, dockerfile)
    assert failed.value.line == 2
    assert "Dockerfile:2" in failed.value.report(dockerfile.split("\n"), "Dockerfile")


async def test_an_image_that_is_not_there_may_be_a_misspelt_stage_or_another_tag(
    tmp_path: Path, store: Store
) -> None:
    put_image(store, "base:1")
    for dockerfile, hint in (
        ("FROM base:1 AS builder\nFROM base:1\nCOPY --from=biulder / /\n", "did you mean the stage builder?"),
        ("FROM base:2\n", "of this image 1 is here"),
        ("FROM --platform=linux/arm64 base:1\n", "it is here for linux/amd64, not for linux/arm64"),
    ):
        with pytest.raises(StepFailed) as failed:
            await build_in(tmp_path, store, dockerfile)
        assert str(failed.value).endswith(hint)


@pytest.mark.parametrize(
    ("run", "grant"), [("--network=host", "network.host"), ("--security=insecure", "security.insecure")]
)
async def test_a_dockerfile_gets_out_of_its_container_only_where_it_is_let(
    tmp_path: Path, store: Store, run: str, grant: str
) -> None:
    put_image(store, "base:1")
    with pytest.raises(StepFailed, match=f"{grant} is not granted: --allow {grant}") as failed:
        await build_in(tmp_path, store, f"FROM base:1\nRUN {run} true\n")
    assert failed.value.line == 2
    with pytest.raises(StepFailed) as failed:  # that it cannot run is another matter
        await build_in(tmp_path, store, f"FROM base:1\nRUN {run} true\n", allow=frozenset({grant}))
    assert "not granted" not in str(failed.value)


async def test_outputs_that_cannot_be_are_refused_before_the_context_is_read(
    tmp_path: Path, store: Store
) -> None:
    around = surroundings(store, tmp_path)
    archive = Output("docker", str(tmp_path / "x.tar"))
    for request, problem in (
        (BuildRequest("/nowhere", outputs=(archive,), platforms=(AMD64, ARM64)), "takes one platform"),
        (
            BuildRequest("/nowhere", outputs=(Output("tar", "/nowhere/x"),)),
            "a file in a directory that is there",
        ),
        (
            BuildRequest("/nowhere", outputs=(Output("tar", str(tmp_path)),)),
            "a file in a directory that is there",
        ),
        (BuildRequest("/nowhere", outputs=(Output("tar", "-"), Output("oci", "-"))), "standard output"),
        (BuildRequest("/nowhere", tags=("a:1", "")), "--tag is empty"),
        (BuildRequest("/nowhere", outputs=(Output("oci", "x", "Not A Name"),)), "Not A Name"),
    ):
        with pytest.raises(InputError, match=problem):
            await build(request, around, Told())
    assert not (tmp_path / "data").exists()


async def test_an_archive_has_the_names_of_the_command_and_of_its_output(
    tmp_path: Path, store: Store
) -> None:
    put_image(store, "base:1")
    file = tmp_path / "image.tar"
    output = Output("docker", str(file), "team/more:2")
    await build_in(tmp_path, store, "FROM base:1\nLABEL a=b\n", tags=("team/app:1",), outputs=(output,))
    with tarfile.open(file) as tar:
        assert b'"RepoTags":["team/app:1","team/more:2"]' in read_member(tar, "manifest.json")


async def test_several_platforms_are_an_index(tmp_path: Path, store: Store) -> None:
    put_image(store, "base:1")
    outcome = await build_in(
        tmp_path, store, "FROM scratch\nLABEL a=b\n", platforms=(AMD64, ARM64), tags=("team/app:1",)
    )
    assert [one.platform for one in outcome.images] == [AMD64, ARM64]
    assert outcome.root not in [one.manifest.digest for one in outcome.images]


async def test_a_platform_that_cannot_be_is_told_before_another_one_is_built(
    tmp_path: Path, store: Store
) -> None:
    put_image(store, "base:1")
    view = Told()
    with pytest.raises(StepFailed, match="not for linux/arm64"):
        await build_in(tmp_path, store, "FROM base:1\nRUN true\n", view, platforms=(AMD64, ARM64))
    assert not any("RUN true" in title for title in view.outcomes())


async def test_an_oci_layout_is_a_named_context_and_stays_no_longer_than_the_build(
    tmp_path: Path, store: Store
) -> None:
    file, layout = tmp_path / "base.tar", tmp_path / "layout"
    with Store(tmp_path / "other") as other:
        put_image(other, "base:1")
        output = Output("oci", str(file), "base:1,more:2")
        await build_in(tmp_path, other, "FROM base:1\nLABEL a=b\n", outputs=(output,))
    with tarfile.open(file) as tar:
        tar.extractall(layout, filter="data")
    for where in (f"oci-layout://{layout}:1", f"oci-layout://{layout}:2"):
        built = await build_in(tmp_path, store, "FROM x\nLABEL c=d\n", contexts={"x": where}, tags=("app:1",))
        assert len(built.images[0].layers) == 1
    assert [image.tag for image in store.images()] == ["1"]
    for where, problem in (
        (f"oci-layout://{layout}:9", "9"),
        (f"oci-layout://{layout}:1@sha256:{'0' * 64}", "the image there is sha256:"),
        ("oci-layout:///nowhere", "there is no directory /nowhere"),
        ("oci-layout://", "expected oci-layout://DIRECTORY"),
        ("docker-image://", "--build-context x=docker-image://: invalid image reference"),
        ("nowhere:1", "--build-context x=nowhere:1: .* is neither a directory nor"),
    ):
        with pytest.raises((InputError, NotFound), match=problem):
            await build_in(tmp_path, store, "FROM x\n", contexts={"x": where})


async def test_several_platforms_are_a_layout_in_a_tar_or_a_directory_each(
    tmp_path: Path, store: Store
) -> None:
    file, directory = tmp_path / "image.tar", tmp_path / "files"
    outputs = (Output("oci", str(file)), Output("local", str(directory)), Output("store"))
    outcome = await build_in(
        tmp_path,
        store,
        "FROM scratch\nARG TARGETARCH\nADD <<a /arch\n$TARGETARCH\na\n",
        platforms=(AMD64, ARM64),
        tags=("team/app:1", "team/app:2"),
        outputs=outputs,
    )
    assert (directory / "linux_amd64/arch").read_text() == "amd64\n"
    assert (directory / "linux_arm64/arch").read_text() == "arm64\n"
    with tarfile.open(file) as tar:
        entries = json.loads(read_member(tar, "index.json"))["manifests"]
        assert [one["digest"] for one in entries] == [str(outcome.root)] * 2
        assert [one["annotations"]["org.opencontainers.image.ref.name"] for one in entries] == ["1", "2"]
        for name in tar.getnames():
            if name.startswith("blobs/sha256/"):
                assert str(Digest.of(read_member(tar, name))) == f"sha256:{name.rpartition('/')[2]}"
        below = json.loads(read_member(tar, f"blobs/sha256/{entries[0]['digest'].removeprefix('sha256:')}"))
        assert {one["platform"]["architecture"] for one in below["manifests"]} == {"amd64", "arm64"}


def read_member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


async def test_no_file_stays_open_however_many_builds_a_program_does(tmp_path: Path, store: Store) -> None:
    put_image(store, "base:1")

    async def descriptors() -> int:
        await build_in(tmp_path, store, "FROM base:1\nLABEL a=b\n")
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    first = await descriptors()
    assert [await descriptors() for _ in range(3)] == [first] * 3


@pytest.mark.skipif(os.getuid() != 0, reason="trees are mounted, by root")
async def test_a_base_layer_that_vanishes_meanwhile_is_one_failure_with_a_place(
    tmp_path: Path, store: Store
) -> None:
    put_image(store, "base:1")

    class Thief(Told):
        def show(self, event: Event) -> None:
            super().show(event)
            if isinstance(event, Ended) and "metadata" in event.task.title:
                for blob in (store.root / "blobs/sha256").iterdir():
                    blob.unlink()

    with pytest.raises(StepFailed, match="not in the store") as failed:
        await build_in(tmp_path, store, "FROM base:1\nCOPY Dockerfile /\n", view=Thief())
    assert failed.value.line == 2


@pytest.mark.skipif(os.getuid() != 0, reason="trees are mounted, by root")
async def test_a_failure_ends_what_runs_beside_it_and_leaves_nothing(tmp_path: Path, store: Store) -> None:
    put_image(store, "base:1")
    dockerfile = (
        "FROM base:1 AS a\nCOPY . /x\nFROM base:1 AS b\nCOPY --from=a /none /\nFROM a\nCOPY --from=b / /\n"
    )
    view = Told()
    with pytest.raises(StepFailed, match="/none"):
        await build_in(tmp_path, store, dockerfile, view=view)
    assert list((tmp_path / "data/build/work").iterdir()) == []
    assert list((tmp_path / "data/build/snapshots/work").iterdir()) == []
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.skipif(os.getuid() != 0, reason="trees are mounted, by root")
async def test_a_stage_that_is_to_be_built_anew_is_and_so_is_what_stands_on_it(
    tmp_path: Path, store: Store
) -> None:
    put_image(store, "base:1")
    dockerfile = "FROM base:1 AS a\nCOPY Dockerfile /a\nFROM base:1 AS b\nCOPY --from=a /a /b\nWORKDIR /w\n"
    first = await build_in(tmp_path, store, dockerfile)
    assert (first.cached, first.steps) == (0, 3)
    again = await build_in(tmp_path, store, dockerfile)
    assert (again.cached, again.steps) == (2, 2)  # what a known step is made of is not looked at
    assert again.image_id == first.image_id
    anew = await build_in(tmp_path, store, dockerfile, no_cache=("a",))
    assert anew.cached == 2  # stage a was carried out, and came to the same
    assert (await build_in(tmp_path, store, dockerfile, no_cache=True)).cached == 0


@pytest.mark.skipif(os.getuid() != 0, reason="trees are mounted, by root")
async def test_the_same_step_of_two_stages_is_carried_out_once(tmp_path: Path, store: Store) -> None:
    stage = "COPY Dockerfile /\nWORKDIR /w\n"
    dockerfile = f"FROM scratch AS a\n{stage}FROM scratch AS b\n{stage}COPY --from=a /w /v\n"
    view = Told()
    outcome = await build_in(tmp_path, store, dockerfile, view)
    outcomes = view.outcomes()
    for step in ("1/2] COPY Dockerfile /", "2/2] WORKDIR /w"):
        of_both = {outcomes[f"[a {step}"], outcomes[f"[b {step.replace('/2]', '/3]')}"]}
        assert of_both == {"done", "cached"}, step
    assert (outcome.cached, outcome.steps) == (2, 5)


class Editor(Told):
    """Somebody who edits a file of the context just when a step begins."""

    def __init__(self, file: Path, title: str) -> None:
        super().__init__()
        self._file, self._title = file, title

    def show(self, event: Event) -> None:
        super().show(event)
        if isinstance(event, Started) and self._title in event.task.title:
            self._file.write_text("edited")


@pytest.mark.skipif(os.getuid() != 0, reason="trees are mounted, by root")
@pytest.mark.parametrize("title", ["COPY first", "COPY file"])
async def test_what_was_edited_while_it_was_built_is_not_found_once_that_is_undone(
    tmp_path: Path, store: Store, title: str
) -> None:
    file = tmp_path / "context/file"
    file.parent.mkdir()
    (tmp_path / "context/first").touch()
    file.write_text("as it was")
    dockerfile = (
        "FROM scratch AS a\nCOPY first /\nCOPY file /\nWORKDIR /w\nFROM scratch\nCOPY --from=a /file /w /\n"
    )
    output = Output("local", str(tmp_path / "out"))
    await build_in(tmp_path, store, dockerfile, Editor(file, title), outputs=(output,))
    assert (tmp_path / "out/file").read_text() == "edited"
    file.write_text("as it was")
    again = await build_in(tmp_path, store, dockerfile, outputs=(output,))
    assert (tmp_path / "out/file").read_text() == "as it was"
    assert (await build_in(tmp_path, store, dockerfile)).image_id == again.image_id
    file.write_text("edited")
    await build_in(tmp_path, store, dockerfile, outputs=(output,))
    assert (tmp_path / "out/file").read_text() == "edited"


@pytest.mark.skipif(os.getuid() != 0, reason="trees are mounted, by root")
async def test_a_build_of_which_everything_is_known_needs_no_place_to_work(
    tmp_path: Path, store: Store
) -> None:
    put_image(store, "base:1")
    first = await build_in(tmp_path, store, "FROM base:1\nCOPY Dockerfile /a\nWORKDIR /w\n")
    home = tmp_path / "data/build"
    shutil.rmtree(home / "snapshots")
    (home / "work").rmdir()
    (home / "work").mkdir(mode=0o500)
    made = (home / "work").stat().st_mtime_ns
    again = await build_in(tmp_path, store, "FROM base:1\nCOPY Dockerfile /a\nWORKDIR /w\n")
    assert (again.image_id, again.cached) == (first.image_id, 2)
    assert not (home / "snapshots").exists()
    assert (home / "work").stat().st_mtime_ns == made


@pytest.mark.skipif(os.getuid() != 0, reason="trees are mounted, by root")
async def test_a_build_syncs_what_an_earlier_one_unpacked(tmp_path: Path, store: Store) -> None:
    put_image(store, "base:1")
    await build_in(tmp_path, store, "FROM base:1\nCOPY Dockerfile /a\n")
    unsynced = list((tmp_path / "data/build/snapshots/s").glob("*/boot"))
    for boot in unsynced:
        os.utime(boot, (0, 0))
    await build_in(tmp_path, store, "FROM base:1\nCOPY Dockerfile /b\n")
    assert unsynced
    assert not any(boot.exists() for boot in unsynced)


def _told(store: Store) -> int:
    """Names of the cluster's cache."""
    return sum(one.repository == BUILD_CACHE for one in store.tags())


class Silent:
    """An agent that knows nothing, and is only told that there is something new."""

    async def pull(
        self, reference: Reference, platform: Platform | None, on_progress: OnProgress
    ) -> PullProgress:
        raise NotFound("nobody has it")

    async def names_changed(self) -> None:
        pass


@pytest.mark.real("runc", "busybox")
@pytest.mark.slow
async def test_what_is_made_of_secrets_is_found_by_others_by_its_content_alone(
    tmp_path: Path, store: Store
) -> None:
    """The key by definition is the same whatever the secret was."""
    put_image(store, "base:1", files={"bin/sh": Path("/bin/busybox").read_bytes()})
    told: dict[str, int] = {}
    for name, run in (("plain", "RUN"), ("secret", "RUN --mount=type=secret,id=s")):
        context = tmp_path / name
        context.mkdir()
        dockerfile = f"FROM base:1 AS a\n{run} echo {name} > /x\nFROM base:1\nCOPY --from=a /x /y\n"
        (context / "Dockerfile").write_text(dockerfile)
        around = surroundings(store, tmp_path)
        key = NodeKey.from_seed(bytes(32), "shoal")
        around = replace(around, cluster=(Silent(), Trust(key, "shoal")))
        before = _told(store)
        await build(BuildRequest(str(context), secrets={"s": b"x"}), around, Told())
        told[name] = _told(store) - before
    # a record and a layer by definition and by content for each of two steps; of the copy by content
    assert told == {"plain": 8, "secret": 2}


@pytest.mark.real("runc", "busybox")
@pytest.mark.slow
async def test_a_secret_that_is_printed_is_not_shown(tmp_path: Path, store: Store) -> None:
    put_image(store, "base:1", files={"bin/sh": Path("/bin/busybox").read_bytes()})
    run = "RUN --mount=type=secret,id=s --mount=type=secret,id=e,env=E"
    dockerfile = (
        f"FROM base:1\n{run} echo seen $(cat /run/secrets/s) $E; printf $E; cat /run/secrets/s >&2; exit 3\n"
    )
    view = Told()
    with pytest.raises(StepFailed) as failed:
        await build_in(tmp_path, store, dockerfile, view, secrets={"s": b"hunter2\n", "e": b"swordfish"})
    assert b"".join(one.data for one in view.events if isinstance(one, Shown)).count(b"***") == 4
    for told in (str(view.events), str(failed.value), failed.value.report([], "")):
        assert "hunter2" not in told
        assert "swordfish" not in told
    assert "seen *** ***" in failed.value.output


@pytest.mark.skipif(os.getuid() != 0, reason="trees are mounted, by root")
async def test_what_is_shown_tells_what_it_depends_on(tmp_path: Path, store: Store) -> None:
    dockerfile = (
        "FROM base:1 AS a\nCOPY Dockerfile /\nFROM scratch AS b\nWORKDIR /w\nFROM a\nCOPY --from=b /w /w\n"
    )
    put_image(store, "base:1")
    for _ in range(2):  # made, and known
        view = Told()
        await build_in(tmp_path, store, dockerfile, view, tags=("app:1",))
        tasks = {event.task.title: event.task for event in view.events if isinstance(event, Ended)}
        inputs = {title: {one.title for one in task.inputs} for title, task in tasks.items()}
        base = next(title for title in tasks if "FROM" in title)
        context, last = "[internal] load build definition and context", "[stage-2 1/1] COPY --from=b /w /w"
        assert inputs["[a 2/2] COPY Dockerfile /"] == {base, context}
        copied = {"[b 1/1] WORKDIR /w"} & inputs.keys()  # a known copy does not look at its source
        assert inputs[last] == {"[a 2/2] COPY Dockerfile /", *copied}
        assert inputs[base] == inputs[context] == inputs["exporting to the store"] == set()
