"""What goes from a client to the standby process comes out as it went in; what is no request is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.standby.request import LENGTH_BYTES, Request, decode

_words = st.lists(st.binary().map(lambda text: text.replace(b"\0", b"")))


@given(arguments=_words, environment=_words, umask=st.integers(0, 0o777))
def test_a_request_comes_out_as_it_went_in(
    arguments: list[bytes], environment: list[bytes], umask: int
) -> None:
    encoded = Request(b"/x/client.py", b"utf-8:strict", umask, arguments, environment).encode()
    body = encoded[LENGTH_BYTES:]
    assert int.from_bytes(encoded[:LENGTH_BYTES], "big") == len(body)
    out = decode(body)
    assert (out.place, out.encoding, out.umask) == (b"/x/client.py", b"utf-8:strict", umask)
    assert (out.arguments, out.environment) == (arguments, environment)


@pytest.mark.parametrize(
    "body", [b"", b"a\0b", b"a\0b\0x\0y", b"a\0b\0" + b"18\0" + b"2\0only", b"a\0b\0" + b"18\0-1"]
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        decode(body)
