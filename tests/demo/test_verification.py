"""A store is believed for what its files hold, never for what they are called."""

from pathlib import Path

from tests.demo.verification import verify_store
from tests.fakes.images import Image, make_image, make_index, random_layer
from tests.fakes.publish import write_layout


def _image(seed: str = "app") -> Image:
    return make_image([random_layer(f"{seed} {number}", 5000) for number in range(2)])


def _file(store: Path, digest: object) -> Path:
    return store.joinpath("blobs", *str(digest).split(":"))


def test_a_whole_image_is_verified_with_its_documents(tmp_path: Path) -> None:
    image = _image()
    write_layout(image, tmp_path, "app")
    verdict = verify_store(tmp_path, str(image.manifest.digest))
    assert verdict.problems == []
    assert set(verdict.image) == {str(blob.digest) for blob in image.all_blobs()}
    assert verdict.image_bytes == image.size_bytes


def test_an_index_needs_only_the_image_that_was_pulled(tmp_path: Path) -> None:
    here, elsewhere = _image("here"), _image("elsewhere")
    index = make_index({"linux/amd64": here, "linux/arm64": elsewhere})
    write_layout(index, tmp_path, "app")
    for blob in elsewhere.all_blobs():
        _file(tmp_path, blob.digest).unlink()
    verdict = verify_store(tmp_path, str(index.manifest.digest))
    assert verdict.problems == []
    assert verdict.image_bytes == here.size_bytes + index.manifest.size_bytes


def test_a_blob_that_is_not_what_its_name_says_is_named(tmp_path: Path) -> None:
    image = _image()
    write_layout(image, tmp_path, "app")
    layer = image.blobs[-1].digest
    _file(tmp_path, layer).write_bytes(b"x" * image.blobs[-1].size_bytes)
    verdict = verify_store(tmp_path, str(image.manifest.digest))
    assert any(layer.hex in problem and "holds" in problem for problem in verdict.problems)
    assert str(layer) not in verdict.image


def test_a_blob_that_is_missing_is_named(tmp_path: Path) -> None:
    image = _image()
    write_layout(image, tmp_path, "app")
    _file(tmp_path, image.blobs[0].digest).unlink()
    verdict = verify_store(tmp_path, str(image.manifest.digest))
    assert verdict.problems == [f"{image.blobs[0].digest} ({image.blobs[0].size_bytes} bytes) is not there"]


def test_an_empty_store_has_no_image(tmp_path: Path) -> None:
    assert verify_store(tmp_path, str(_image().manifest.digest)).problems
