"""What `-c` changes in a config, as Docker does."""

from typing import Any

import pytest

from agent.content.errors import InputError
from agent.images.config_changes import apply_changes

_HEALTH = {
    "Interval": 90 * 10**9,
    "Retries": 3,
    "Test": ["CMD", "/check", "-q"],
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (['CMD ["/app", "-v"]'], {"Cmd": ["/app", "-v"]}),
        (["CMD echo hi"], {"Cmd": ["/bin/sh", "-c", "echo hi"]}),
        (['entrypoint ["/init"]'], {"Entrypoint": ["/init"], "Cmd": None}),
        (['CMD ["x"]', 'ENTRYPOINT ["/init"]'], {"Cmd": ["x"], "Entrypoint": ["/init"]}),
        (["ENV A=2 C='x y'"], {"Env": ["PATH=/bin", "A=2", "C=x y"]}),
        (["ENV B to the end"], {"Env": ["PATH=/bin", "A=1", "B=to the end"]}),
        (
            ["EXPOSE 80 443/udp 8000-8001"],
            {"ExposedPorts": {"80/tcp": {}, "443/udp": {}, "8000/tcp": {}, "8001/tcp": {}}},
        ),
        (["HEALTHCHECK NONE"], {"Healthcheck": {"Test": ["NONE"]}}),
        (['HEALTHCHECK --interval=1m30s --retries=3 CMD ["/check", "-q"]'], {"Healthcheck": _HEALTH}),
        (["HEALTHCHECK CMD true"], {"Healthcheck": {"Test": ["CMD-SHELL", "true"]}}),
        (['LABEL a=1 "b c"="d e"'], {"Labels": {"a": "1", "b c": "d e"}}),
        (["ONBUILD RUN make"], {"OnBuild": ["RUN make"]}),
        (["STOPSIGNAL SIGINT"], {"StopSignal": "SIGINT"}),
        (["USER 1000:1000"], {"User": "1000:1000"}),
        (['VOLUME ["/a", "/b"]'], {"Volumes": {"/a": {}, "/b": {}}}),
        (["VOLUME /a /b"], {"Volumes": {"/a": {}, "/b": {}}}),
        (["WORKDIR /a", "WORKDIR b/../c"], {"WorkingDir": "/a/c"}),
    ],
)
def test_each_instruction_changes_what_it_names(changes: list[str], expected: dict[str, Any]) -> None:
    before = {"Env": ["PATH=/bin", "A=1"], "Cmd": ["sh"]}
    assert apply_changes(before, changes) == before | expected
    assert before == {"Env": ["PATH=/bin", "A=1"], "Cmd": ["sh"]}, "the image it came from stays as it is"


@pytest.mark.parametrize(
    "change",
    [
        "",
        "CMD",
        "RUN make",
        "COPY a b",
        "EXPOSE 99999999",
        "EXPOSE x",
        "HEALTHCHECK",
        "HEALTHCHECK --nap=1s CMD x",
        "HEALTHCHECK --interval=soon CMD x",
        "ENV A",
        "LABEL a=1 b",
        "USER a b",
        "LABEL 'a=1",
    ],
)
def test_what_is_no_change_is_refused(change: str) -> None:
    with pytest.raises(InputError):
        apply_changes({}, [change])
