"""Where programs of the system are found, also where PATH leaves out the directories for administrators."""

import os
import shutil

_ADMINISTRATORS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def find_program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_ADMINISTRATORS]))
