"""What a RUN may ask of an ssh agent: which keys there are, and a signature. Nothing that changes the agent.

The agent protocol (draft-miller-ssh-agent): a length of four bytes, a type, a body. Keys given as files are answered
for here (`KeyAgent`), so that nobody needs an agent for them; they never reach the container.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from agent.content.errors import InputError

MOST_MESSAGE_BYTES = 256 * 1024  # OpenSSH's own limit
LENGTH_BYTES = 4
_FAILURE, _REQUEST_IDENTITIES, _IDENTITIES, _SIGN_REQUEST, _SIGN_RESPONSE = 5, 11, 12, 13, 14
_RSA_SHA2_256, _RSA_SHA2_512 = 2, 4
_CURVES: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    "secp256r1": ("nistp256", hashes.SHA256()),
    "secp384r1": ("nistp384", hashes.SHA384()),
    "secp521r1": ("nistp521", hashes.SHA512()),
}

_PrivateKey = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

FAILURE = bytes([_FAILURE])


def is_harmless(message: bytes) -> bool:
    return message[:1] in (bytes([_REQUEST_IDENTITIES]), bytes([_SIGN_REQUEST]))


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(LENGTH_BYTES) + message


@dataclass(frozen=True, slots=True)
class AgentKey:
    """blob: the public key, as ssh writes it."""

    blob: bytes
    comment: str
    private: _PrivateKey


class KeyAgent:
    """An agent for a few keys."""

    def __init__(self, keys: Sequence[AgentKey]) -> None:
        self._keys = tuple(keys)

    def answer(self, message: bytes) -> bytes:
        try:
            if message == bytes([_REQUEST_IDENTITIES]):
                return self._identities()
            if message[:1] == bytes([_SIGN_REQUEST]):
                return self._signature(message[1:])
        except (ValueError, IndexError, UnsupportedAlgorithm):
            pass
        return FAILURE

    def _identities(self) -> bytes:
        parts = (_string(key.blob) + _string(key.comment.encode()) for key in self._keys)
        return bytes([_IDENTITIES]) + len(self._keys).to_bytes(4) + b"".join(parts)

    def _signature(self, body: bytes) -> bytes:
        blob, rest = _take_string(body)
        data, flags = _take_string(rest)
        for key in self._keys:
            if key.blob == blob:
                name, signature = _sign(key.private, data, int.from_bytes(flags[:4]))
                return bytes([_SIGN_RESPONSE]) + _string(_string(name.encode()) + _string(signature))
        return FAILURE


def load_key(path: Path) -> AgentKey:
    """Raises InputError for a file that is none, and for one with a passphrase."""
    try:
        content = path.read_bytes()
        load = (
            serialization.load_ssh_private_key
            if b"OPENSSH PRIVATE KEY" in content
            else serialization.load_pem_private_key
        )
        private = load(content, password=None)
    except TypeError:
        raise InputError(
            f"the ssh key {path} has a passphrase: add it to an agent (ssh-add) and give that"
        ) from None
    except OSError as error:
        raise InputError(f"cannot read the ssh key {path}: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path} is no private ssh key: {error}") from error
    if not isinstance(private, _PrivateKey):
        raise InputError(f"the ssh key {path} is of a kind that is not supported: take ed25519, ecdsa or rsa")
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return AgentKey(base64.b64decode(public.split()[1]), str(path), private)


def _sign(private: _PrivateKey, data: bytes, flags: int) -> tuple[str, bytes]:
    """The algorithm's name and the signature. RSA with SHA-1 (no flag) is the client's decision, as for any agent."""
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ssh-ed25519", private.sign(data)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        curve, hash_ = _CURVES[private.curve.name]
        numbers = decode_dss_signature(private.sign(data, ec.ECDSA(hash_)))
        return f"ecdsa-sha2-{curve}", b"".join(_string(_positive(number)) for number in numbers)
    if flags & _RSA_SHA2_512:
        return "rsa-sha2-512", private.sign(data, padding.PKCS1v15(), hashes.SHA512())
    if flags & _RSA_SHA2_256:
        return "rsa-sha2-256", private.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return "ssh-rsa", private.sign(data, padding.PKCS1v15(), hashes.SHA1())


def _positive(number: int) -> bytes:
    """RFC 4251, mpint: the first bit is the sign."""
    return number.to_bytes(number.bit_length() // 8 + 1)


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4) + value


def _take_string(body: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(body[:4])
    if end > len(body):
        raise ValueError("cut short")
    return body[4:end], body[end:]
