import pytest

from agent.content.errors import InputError
from builder.dockerfile.instructions import Mount, Run
from builder.dockerfile.mounts import expanded_mount, size_bytes
from builder.dockerfile.words import expand
from tests.builder.dockerfile.reading import instruction, mistake


def mount(options: str) -> Mount:
    run = instruction(f"RUN --mount={options} x")
    assert isinstance(run, Run)
    return run.mounts[0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("target=/x", Mount("bind", target="/x")),
        ("type=bind,from=b,src=a,dst=/x,rw", Mount("bind", "/x", "a", "b", read_only=False)),
        ("TYPE=Cache,destination=/x,id=k", Mount("cache", "/x", id="k")),
        ("type=cache,target=/x,sharing=LOCKED,mode=0755,uid=1,gid=2,ro",
         Mount("cache", "/x", sharing="locked", mode="0755", uid="1", gid="2", read_only=True)),
        ("type=tmpfs,target=/x,size=64m", Mount("tmpfs", "/x", size="64m")),
        ("type=secret,id=k,env=TOKEN,required", Mount("secret", id="k", env="TOKEN", required=True)),
        ("type=secret,source=k,required=false", Mount("secret", source="k")),
        ("type=ssh", Mount("ssh")),
        ("required=true,type=ssh,mode=0600", Mount("ssh", required=True, mode="0600")),
        ("readonly=false,target=/x", Mount("bind", "/x", read_only=False)),
        ("readwrite=0,target=/x", Mount("bind", "/x", read_only=True)),
        ("type=cache,target=$DIR,id=${ID:-a},mode=$M", Mount("cache", "$DIR", id="${ID:-a}", mode="$M")),
    ],
)  # fmt: skip
def test_a_mount_has_its_options(options: str, expected: Mount) -> None:
    read = mount(options)
    assert read.text == options
    assert Mount(**{name: getattr(read, name) for name in Mount.__slots__ if name != "text"}) == expected


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("", "empty"),
        ("type=bnd,target=/x", "did you mean bind?"),
        ("targt=/x", "did you mean target?"),
        ("target", "target needs a value"),
        ("from=$STAGE,target=/x", "takes no variables"),
        ("target=/x,sharing=shared", "sharing is not for --mount=type=bind: it is for cache"),
        ("type=cache,target=/x,sharing=all", "sharing=all is not possible"),
        ("target=/x,mode=0755", "mode is not for"),
        ("type=tmpfs,target=/x,uid=1", "uid is not for"),
        ("type=cache,target=/x,size=1m", "size is not for"),
        ("type=cache,target=/x,required", "required is not for"),
        ("type=ssh,env=A", "env is not for"),
        ("type=cache,target=/x,mode=rwx", "octal"),
        ("type=cache,target=/x,mode=0999", "octal"),
        ("type=cache,target=/x,uid=root", "expected a number"),
        ("type=cache,target=/x,uid=4294967296", "expected a number"),
        ("target=/x,ro=maybe", "true or false"),
        ("type=tmpfs,target=/x,size=big", "no size"),
        ("type=secret", "needs id="),
        ("type=secret,id=a,source=b", "give one of them"),
        ("type=secret,id=a,from=b", "no from="),
    ],
)
def test_a_mount_that_cannot_be_says_why(options: str, says: str) -> None:
    error = mistake(f"FROM a\nRUN --mount={options} x")
    assert says in error.problem
    assert error.line == 2


def test_a_value_with_a_variable_is_checked_when_it_is_expanded() -> None:
    values = {"KIND": "cache", "DIR": "/x", "MODE": "0700", "BAD": "rwx", "RO": "true"}

    def expanded(options: str) -> Mount:
        return expanded_mount(mount(options), lambda value: expand(value, values.get))

    known = expanded("type=$KIND,target=$DIR/y,mode=${MODE},ro=$RO,id='q'")
    assert (known.kind, known.target, known.mode, known.read_only) == ("cache", "/x/y", "0700", True)
    for wrong in (
        "type=cache,target=/x,mode=$BAD",
        "type=$DIR,target=/x",
        "target=/x,mode=$MODE",
        "target=${X?}",
    ):
        with pytest.raises(InputError):
            expanded(wrong)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1000", 1000), ("64k", 65536), ("1.5GiB", 1610612736), ("2 MB", 2097152), ("7b", 7)],
)
def test_sizes_are_in_units_of_1024(text: str, size: int) -> None:
    assert size_bytes(text) == size
