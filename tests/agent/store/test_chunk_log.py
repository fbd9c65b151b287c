from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.content.chunk_map import ChunkMap
from agent.store.chunk_log import ChunkLog

MAP = ChunkMap.of(10 * 64 * 1024)
A, B = b"a" * 32, b"b" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def log(path: Path) -> Iterator[ChunkLog]:
    with path.open("w+b", buffering=0) as file:
        yield ChunkLog(file.fileno())


def load(path: Path, chunk_map: ChunkMap = MAP) -> dict[int, bytes]:
    with path.open("r+b", buffering=0) as file:
        return ChunkLog(file.fileno()).load(chunk_map)


def test_an_empty_log_has_nothing(log: ChunkLog) -> None:
    assert log.load(MAP) == {}


def test_the_last_word_on_a_chunk_counts(log: ChunkLog, path: Path) -> None:
    log.load(MAP)
    log.append(3, A)
    log.append(4, A)
    log.append_forgotten(3)
    log.append_forgotten(4)
    log.append(4, B)
    assert load(path) == {4: B}


def test_a_torn_record_does_not_undo_an_earlier_one(log: ChunkLog, path: Path) -> None:
    log.load(MAP)
    log.append(3, A)
    log.append(3, B)
    written = bytearray(path.read_bytes())
    written[-10] ^= 1
    path.write_bytes(written)
    assert load(path) == {3: A}


def test_records_after_a_hole_of_zeros_count(log: ChunkLog, path: Path) -> None:
    log.load(MAP)
    before = len(path.read_bytes())
    log.append(3, A)
    log.append(4, B)
    written = bytearray(path.read_bytes())
    size = (len(written) - before) // 2
    written[before : before + size] = bytes(size)
    path.write_bytes(written)
    assert load(path) == {4: B}


def test_what_a_torn_tail_left_is_written_over(log: ChunkLog, path: Path) -> None:
    log.load(MAP)
    log.append(3, A)
    with path.open("ab") as file:
        file.write(b"torn")
    with path.open("r+b", buffering=0) as file:
        resumed = ChunkLog(file.fileno())
        assert resumed.load(MAP) == {3: A}
        resumed.append(5, B)
    assert load(path) == {3: A, 5: B}


def test_a_log_of_another_geometry_is_begun_anew(log: ChunkLog, path: Path) -> None:
    log.load(MAP)
    log.append(3, A)
    assert load(path, ChunkMap.of(MAP.size - 1)) == {}
    assert load(path, MAP) == {}
