"""What compressed streams are without it, and what is no such stream."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from agent.content.errors import ContentError
from agent.images.compression import BombLimits, open_plain

Compress = Callable[[bytes], bytes]
_ALL: dict[str, Compress] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "none": bytes,
}
_COMPRESSED = [name for name in _ALL if name != "none"]


def plain(body: bytes, limits: BombLimits | None = None) -> tuple[str, bytes]:
    stream = open_plain(io.BytesIO(body).read, limits or BombLimits())
    return stream.compression, b"".join(iter(lambda: stream.read(10_000), b""))


@pytest.mark.parametrize("name", _ALL)
@given(data=st.binary(max_size=5000))
def test_every_compression_is_told_by_its_bytes(name: str, data: bytes) -> None:
    if name == "none" and data[:1] in b"\x1f\x28B\xfdPQRSTUVWXYZ[\\]^_":
        return
    assert plain(_ALL[name](data)) == (name, data)


@pytest.mark.parametrize("name", _COMPRESSED)
def test_several_members_are_one_stream(name: str) -> None:
    assert plain(_ALL[name](b"one ") + _ALL[name](b"two")) == (name, b"one two")


def test_zeros_behind_gzip_are_padding_and_anything_else_is_damage() -> None:
    assert plain(gzip.compress(b"data") + bytes(200_000)) == ("gzip", b"data")
    assert plain(gzip.compress(b"one ") + bytes(7) + gzip.compress(b"two")) == ("gzip", b"one two")
    with pytest.raises(ContentError, match="gzip data is damaged"):
        plain(gzip.compress(b"data") + b"\0garbage")


@given(size=st.integers(0, 300_000), limit=st.integers(10_000, 50_000))
def test_a_piece_is_never_larger_than_asked_for(size: int, limit: int) -> None:
    stream = open_plain(io.BytesIO(gzip.compress(bytes(size))).read)
    pieces = list(iter(lambda: stream.read(limit), b""))
    assert max(map(len, pieces), default=0) <= limit
    assert sum(map(len, pieces)) == size


def test_zstds_skippable_frames_are_passed_over() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"notes"
    assert plain(skippable + _ALL["zstd"](b"data") + skippable) == ("zstd", b"data")


@pytest.mark.parametrize("name", _COMPRESSED)
@given(cut=st.integers(1, 60))
def test_what_ends_too_early_is_refused(name: str, cut: int) -> None:
    whole = _ALL[name](bytes(range(256)) * 8)
    with pytest.raises(ContentError):
        found, _ = plain(whole[: max(len(whole) - cut, 7)])
        assert found == name


@pytest.mark.parametrize("name", _COMPRESSED)
def test_a_bomb_is_refused_before_it_is_through(name: str) -> None:
    bomb = _ALL[name](bytes(8_000_000))
    with pytest.raises(ContentError, match="refused as a bomb"):
        plain(bomb, BombLimits(free_bytes=1_000_000, ratio=100))
    assert len(plain(bomb)[1]) == 8_000_000, "below the free limit zeros are fine"
