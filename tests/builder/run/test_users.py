"""Who USER means, by the rules of runc's GetExecUser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.run.errors import RunError
from builder.run.users import User, find_user

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nann:x:1000:100:Ann:/home/ann:/bin/sh\n\nbroken\n42:x:7:8::/:\nann:x:9:9::/:\n"
GROUP = b"root:x:0:\nusers:x:100:ann\nwheel:x:10:root,ann\naudio:x:29:bob,ann\n7:x:70:\n"


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("", User(0, 0, (10,))),
        ("root", User(0, 0, (10,))),
        ("ann", User(1000, 100, (10, 29))),
        ("1000", User(1000, 100, (10, 29))),
        ("ann:audio", User(1000, 29)),
        ("ann:5000", User(1000, 5000)),
        ("5000", User(5000, 0)),
        ("5000:6000", User(5000, 6000)),
        ("5000:wheel", User(5000, 10)),
        ("42", User(7, 8)),  # a name, although it is a number, too
        ("ann:", User(1000, 100, (10, 29))),
        ("0:0", User(0, 0)),
    ],
)
def test_names_and_numbers_are_looked_up(text: str, user: User) -> None:
    assert find_user(text, PASSWD, GROUP) == user


def test_an_image_without_the_files_has_root_and_numbers() -> None:
    assert find_user("", b"", b"") == find_user("0", b"", b"") == User()
    assert find_user("12:13", b"", b"") == User(12, 13)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bob", "user 'bob' is not in the image's /etc/passwd"),
        ("ann:nobody", "group 'nobody' is not in the image's /etc/group"),
        ("2147483648", "beyond the largest"),
        ("0:4294967296", "beyond the largest"),
        ("-1", "user '-1'"),
        ("\u0663", "user"),
    ],
)
def test_what_the_image_does_not_know_is_an_error(text: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        find_user(text, PASSWD, GROUP)


@given(st.text(), st.binary(), st.binary())
def test_no_file_makes_it_fail_otherwise(text: str, passwd: bytes, group: bytes) -> None:
    try:
        user = find_user(text, passwd, group)
    except RunError:
        return
    assert user.uid >= 0
    assert user.gid not in user.groups
