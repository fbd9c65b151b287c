"""`--output` as buildx has it."""

import pytest

from agent.content.errors import InputError
from builder.output import Output, Packing, parse_output


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("out", Output("local", "out")),
        ("-", Output("tar", "-")),
        ("type=oci,dest=a.tar", Output("oci", "a.tar")),
        ("type=docker", Output("docker", "-")),
        ("type=image,name=x", Output("store", "", "x")),
        ('type=local,"dest=a,b"', Output("local", "a,b")),
        ("type=cacheonly", Output("cacheonly")),
        ("type=oci,tar=false,dest=a", Output("oci", "a", is_directory=True)),
        ("type=registry,name=r.io/x", Output("store", "", "r.io/x", is_pushed=True)),
        ("type=registry,push=false", Output("store")),
        ("type=image,push=true,oci-mediatypes=1,rewrite-timestamp=true", Output("store", is_pushed=True)),
        (
            "type=oci,dest=a,compression=uncompressed,force-compression=true",
            Output("oci", "a", packing=Packing("none", is_forced=True)),
        ),
        ("type=image,compression=zstd,compression-level=9", Output("store", packing=Packing("zstd", 9))),
    ],
)
def test_outputs_are_read_as_docker_reads_them(text: str, output: Output) -> None:
    assert parse_output(text) == output


@pytest.mark.parametrize(
    "text", ["type=squashfs", "dest=x", "type=local", "type=local,dest=", 'type=oci,"', "type=oci,x", ""]
)
def test_an_output_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--output"):
        parse_output(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("type=image,compression=estargz", "compression=estargz: expected uncompressed, gzip, zstd"),
        ("type=image,compression=zstd,compression-level=22", "level 22 of zstd: expected 1 to 19"),
        ("type=image,compression-level=best", "compression-level=best: expected a number"),
        ("type=oci,tar=false", "tar=false needs dest=DIRECTORY"),
        ("type=oci,tar=maybe", "tar=maybe: expected true or false"),
        ("type=tar,compression=gzip", "type=tar takes dest, not compression"),
        ("type=cacheonly,dest=x", "type=cacheonly takes nothing, not dest"),
        ("type=image,rewrite-timestamp=false", "rewrite-timestamp=false is not possible: .*--keep-times"),
        ("type=docker,oci-mediatypes=false", "oci-mediatypes=false is not possible: .*OCI"),
        ("type=image,annotation.a=b", "--output takes .*compression=.*, not 'annotation.a'"),
        ("type=squashfs", "expected type=image, registry, oci, docker, tar, local or cacheonly"),
    ],
)
def test_what_is_not_possible_is_told_with_what_is(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_output(text)
