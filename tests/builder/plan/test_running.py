import pytest

from builder.dockerfile.failure import DockerfileError
from builder.plan.steps import (
    BindMount,
    CacheMount,
    ContextSource,
    RunMount,
    RunOperation,
    ScriptFile,
    SecretMount,
    SshMount,
    TmpfsMount,
)
from tests.builder.plan.planning import history, plan_of, runs, titles


def run(text: str, **given: object) -> RunOperation:
    return runs(plan_of(f"FROM a\n{text}\n", {"a": {"WorkingDir": "/w", "User": "u"}}, **given))[-1]


def mount(text: str) -> RunMount:
    return run(f"ENV V=v N=7\nRUN --mount={text} x").mounts[0]


def test_the_shell_form_is_the_shells_and_the_exec_form_is_as_it_is() -> None:
    assert run("RUN make  all").arguments == ("/bin/sh", "-c", "make  all")
    assert run('RUN ["make", "$A"]').arguments == ("make", "$A")
    assert run('SHELL ["/bin/bash", "-c"]\nRUN x').arguments == ("/bin/bash", "-c", "x")
    assert (run("RUN x").directory, run("RUN x").user) == ("/w", "u")


def test_a_here_document_alone_is_what_the_shell_gets() -> None:
    text = "RUN <<EOF\necho $A\n\techo b\nEOF\n"
    assert run(text).arguments == ("/bin/sh", "-c", "echo $A\n\techo b\n")
    assert run(text.replace("<<", "<<-")).arguments == ("/bin/sh", "-c", "echo $A\necho b\n")
    assert titles(plan_of(f"FROM a\n{text}"))[1] == "[2/2] RUN <<EOF (echo $A...)"


def test_a_here_document_that_names_its_interpreter_is_a_file_that_is_executed() -> None:
    operation = run("RUN <<SCRIPT\n#!/usr/bin/python3\nprint(1)\nSCRIPT")
    assert operation.script == ScriptFile("SCRIPT", "#!/usr/bin/python3\nprint(1)\n")
    assert operation.arguments == ("/bin/sh", "-c", "/dev/pipes/SCRIPT")


def test_here_documents_of_a_command_stay_the_shells() -> None:
    operation = run("RUN cat <<A - <<'B' | sort\none\nA\n#!two\nB")
    assert operation.arguments == ("/bin/sh", "-c", "cat <<A - <<'B' | sort\none\nA\n#!two\nB")
    assert operation.script is None


def test_network_and_security_are_the_instructions_or_the_commands() -> None:
    assert (run("RUN x").network, run("RUN x").security) == ("default", "sandbox")
    assert run("RUN x", network="none").network == "none"
    asked = run("RUN --network=host --security=insecure x", network="none")
    assert (asked.network, asked.security) == ("host", "insecure")
    assert run("RUN x", hosts=(("h", "1.2.3.4"),)).hosts == (("h", "1.2.3.4"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target=/t", BindMount("/t", ContextSource())),
        (
            "type=bind,source=../a/$V/,target=t,rw",
            BindMount("/w/t", ContextSource(), "/a/v", read_only=False),
        ),
        ("type=cache,target=/c", CacheMount("/c", "/c")),
        (
            "type=cache,target=c/,id=$V,sharing=locked,uid=$N,gid=8,mode=0700,ro",
            CacheMount("/w/c", "v", None, "/", "locked", True, 0o700, 7, 8),
        ),
        ("type=cache,target=c/", CacheMount("/w/c", "c")),
        ("type=tmpfs,target=/t,size=64m", TmpfsMount("/t", 64 << 20)),
        ("type=tmpfs,target=$V", TmpfsMount("/w/v")),
        ("type=secret,id=s", SecretMount("s", "/run/secrets/s")),
        ("type=secret,target=/a/b,required", SecretMount("b", "/a/b", None, True)),
        ("type=secret,id=s,env=TOKEN", SecretMount("s", None, "TOKEN")),
        (
            "type=secret,id=s,env=T,target=x,mode=0444,uid=1",
            SecretMount("s", "/w/x", "T", False, 0o444, 1, 0),
        ),
        ("type=ssh", SshMount("default", "/run/buildkit/ssh_agent.0")),
        ("type=ssh,id=k,target=/s,required=true", SshMount("k", "/s", True)),
    ],
)
def test_mounts_are_expanded_and_absolute(text: str, expected: RunMount) -> None:
    assert mount(text) == expected


@pytest.mark.parametrize(
    "text",
    ["type=cache,target=/", "target=../..", "type=ssh,source=x", "type=cache,uid=$V,target=/c", "type=$V"],
)
def test_mounts_that_cannot_be_are_told_at_their_line(text: str) -> None:
    with pytest.raises(DockerfileError, match=r"Dockerfile:3:"):
        mount(text)


def test_sockets_are_numbered_and_the_first_is_the_agents() -> None:
    operation = run("RUN --mount=type=ssh --mount=type=ssh,id=b x")
    assert [one.target for one in operation.mounts] == [
        "/run/buildkit/ssh_agent.0",
        "/run/buildkit/ssh_agent.1",
    ]
    assert dict(operation.environment)["SSH_AUTH_SOCK"] == "/run/buildkit/ssh_agent.0"
    own = run("ENV SSH_AUTH_SOCK=/own\nRUN --mount=type=ssh x")
    assert dict(own.environment)["SSH_AUTH_SOCK"] == "/own"


def test_a_title_has_the_values_of_variables_but_a_secrets() -> None:
    plan = plan_of('FROM a\nENV A=1 T=shown\nRUN --mount=type=secret,id=s,env=T x "$A" $T $UNSET\n')
    assert titles(plan)[1] == '[2/2] RUN --mount=type=secret,id=s,env=T x "1" **** $UNSET'
    assert history(plan)[-1] == 'RUN /bin/sh -c x "$A" $T $UNSET # buildkit'


def test_no_cache_is_for_all_stages_or_for_those_that_are_named() -> None:
    text = "FROM a AS One\nRUN x\nFROM a\nCOPY --from=one / /\nRUN y\n"
    for given, expected in ((True, [True] * 3), (("ONE",), [True, False, False]), (False, [False] * 3)):
        steps = plan_of(text, no_cache=given).steps
        assert [step.no_cache for step in steps if step.operation] == expected
