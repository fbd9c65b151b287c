"""The zoo: one small runnable image of every kind that registries hold and clients treat differently.

Each prints GREETING. They share no layer but busybox, so none is pulled by pulling another.
"""

import struct
from collections.abc import Mapping
from functools import cache

from tests.fakes.images import (
    GREETING,
    Image,
    Layer,
    busybox_layer,
    file_layer,
    make_image,
    make_index,
    random_layer,
    runnable_image,
)
from tests.fakes.publish import push_image

LAYERS_OF_MANY = 60


@cache
def zoo() -> Mapping[str, Image]:
    """By tag."""
    return {
        "docker": runnable_image(_payload("docker"), kind="docker"),
        "oci": runnable_image(_payload("oci"), kind="oci"),
        "untyped": runnable_image(_payload("untyped"), kind="oci", with_media_type=False),
        "index": _index("index", "oci"),
        "list": _index("list", "docker"),
        "tiny": make_image([tiny_layer()], command=("/hello",)),
        "many": runnable_image([random_layer(f"many {n}", 500 + n) for n in range(LAYERS_OF_MANY - 1)]),
    }


async def push_zoo(registry_url: str, repository: str) -> None:
    for tag, image in zoo().items():
        await push_image(image, registry_url, repository, tag)


def tiny_layer() -> Layer:
    """Two kilobytes: a program that needs nothing else."""
    return file_layer({"hello": _program(f"{GREETING}\n".encode())}, mode=0o755)


def _payload(name: str) -> list[Layer]:
    """A plain and a compressed layer, of a few chunks each."""
    plain = random_layer(f"{name} plain", 300_000)
    return [plain, random_layer(f"{name} compressed", 200_000, compression="gzip")]


def _index(name: str, kind: str) -> Image:
    """The machine's platform among others, whose images cannot run here."""
    foreign = {
        platform: make_image(
            [busybox_layer(), random_layer(f"{name} {platform}", 10_000)],
            kind="docker" if kind == "docker" else "oci",
            architecture=platform.split("/")[1],
        )
        for platform in ("linux/arm64", "linux/arm/v7", "linux/s390x")
    }
    own = runnable_image(_payload(name), kind="docker" if kind == "docker" else "oci")
    return make_index({**foreign, "linux/amd64": own}, kind="docker" if kind == "docker" else "oci")


def _program(text: bytes) -> bytes:
    """A static x86-64 ELF executable that writes `text` and ends: elf(5), with one program header and no sections."""
    load, header_bytes = 0x400000, 64 + 56
    code = bytes.fromhex("b801000000 bf01000000 be") + struct.pack("<I", load + header_bytes + 34)
    code += bytes.fromhex("ba") + struct.pack("<I", len(text))  # write(1, text, length)
    code += bytes.fromhex("0f05 b83c000000 31ff 0f05 90 90 90")  # exit(0)
    assert len(code) == 34
    size = header_bytes + len(code) + len(text)
    identity = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", identity, 2, 62, 1, load + header_bytes, 64, 0, 0, 64, 56, 1, 64, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, load, load, size, size, 0x1000)
    return head + segment + code + text
