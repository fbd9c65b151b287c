"""The demo's image: real files, the same bytes every time."""

from tests.demo.machine_image import make_machine_image


def test_the_image_is_about_as_large_as_wanted_in_several_layers_and_always_the_same() -> None:
    image, again = make_machine_image(1_000_000), make_machine_image(1_000_000)
    assert image.manifest.digest == again.manifest.digest
    assert 850_000 < image.size_bytes < 1_150_000
    assert len(image.blobs) == 1 + 6
