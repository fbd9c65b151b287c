"""Dockerfiles of one stage, for tests about one instruction."""

from textwrap import dedent

from builder.dockerfile.failure import DockerfileError
from builder.dockerfile.instructions import Dockerfile, Instruction
from builder.dockerfile.parser import parse_dockerfile


def parsed(text: str) -> Dockerfile:
    return parse_dockerfile(dedent(text).encode())


def instruction(text: str) -> Instruction:
    """The only one behind FROM."""
    (only,) = parse_dockerfile(f"FROM scratch\n{text}\n".encode()).stages[0].instructions
    return only


def mistake(text: str) -> DockerfileError:
    """What is wrong in a file."""
    try:
        dockerfile = parsed(text)
    except DockerfileError as error:
        return error
    raise AssertionError(f"nothing wrong with {dockerfile.stages}")
