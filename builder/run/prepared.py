"""`PreparedContainer`: everything one RUN needs, made on this machine, and taken away again. Blocking."""

import contextlib
import os
import secrets
import signal
from pathlib import Path

from builder.run import configuration as c
from builder.run.agent_socket import AgentSocket, open_agent_socket
from builder.run.bundle import PIPES, Bundle
from builder.run.errors import RunError
from builder.run.left_behind import BUNDLE, Record, delete_container, remove_record, write_record
from builder.run.mount_points import MountPoints
from builder.run.name_resolution import hosts_file, read_resolver
from builder.run.network import Network, open_network
from builder.run.request import ContainerRequest, ResolvedMount
from builder.run.root_path import path_in_root
from builder.run.runtime import unified_cgroups
from builder.run.security import security_of
from builder.run.users import User, look_up_user

_HARMLESS = ("nosuid", "nodev", "noexec")


class PreparedContainer:
    """`open` and `close` once each; `close` also after an `open` that failed."""

    def __init__(self, request: ContainerRequest) -> None:
        operation = request.operation
        script = operation.script
        self._request = request
        self.id = f"shoal-{secrets.token_hex(8)}"
        self.root = request.root_fs
        self.platform = request.platform
        self.arguments = operation.arguments or ((f"{PIPES}/{script.name}",) if script else ())
        self._environment = c.process_environment(
            operation.environment, operation.proxies, request.secret_environment
        )
        self._bundle = Bundle(request.work / BUNDLE)
        self._points = MountPoints(self.root, ())
        self._network: Network | None = None
        self.agents: list[AgentSocket] = []

    @property
    def search_path(self) -> str:
        return dict(self._environment)["PATH"]

    @property
    def log(self) -> Path:
        return self._bundle.log

    def open(self) -> None:
        """Raises RunError, OSError."""
        operation = self._request.operation
        if operation.security == "insecure" and not self._request.allow_insecure:
            raise RunError(
                "RUN --security=insecure needs to be allowed by whoever builds: --allow security.insecure"
            )
        user = look_up_user(operation.user, self.root)
        write_record(self._request.work, Record(self.id, self._request.runtime))
        self._bundle.open()
        self._network = open_network(operation.network)
        _make_directory(self.root, operation.directory, user)
        mounts = [
            *self._own_files(self._network.gateway),
            *(self._mount(number, m) for number, m in enumerate(self._request.mounts)),
        ]
        self._points = MountPoints(self.root, ((m.target, _is_directory(m)) for m in mounts))
        self._points.make()
        self._bundle.write_configuration(
            c.runtime_configuration(
                self.root,
                c.Process(self.arguments, self._environment, operation.directory, user),
                mounts,
                security_of(operation.security),
                c.Isolation(self._network.namespace, f"/shoal/{self.id}", unified_cgroups()),
            )
        )

    def command(self) -> list[str]:
        bundle = self._bundle
        log = ("--log", str(bundle.log), "--log-format", "json")
        run = ("run", "--bundle", str(bundle.directory), "--pid-file", str(bundle.pid_file), self.id)
        return self._request.runtime.command(bundle.state, *log, *run)

    def kill(self) -> None:
        """The first process, if there is one yet."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(self._bundle.pid_file.read_text()), signal.SIGKILL)

    def close(self) -> None:
        """Raises OSError."""
        with contextlib.ExitStack() as stack:  # the last is done first, and each whether or not others fail
            stack.callback(remove_record, self._request.work)
            if self._network is not None:
                stack.callback(self._network.close)
            stack.callback(self._bundle.close)
            stack.callback(self._points.remove)
            for agent in self.agents:
                stack.callback(agent.close)
            stack.callback(delete_container, self._bundle, Record(self.id, self._request.runtime))

    def _own_files(self, gateway: str) -> list[c.Mount]:
        operation = self._request.operation
        files = {
            "/etc/resolv.conf": read_resolver(isolated=operation.network != "host"),
            "/etc/hosts": hosts_file(c.HOST_NAME, operation.hosts, gateway),
        }
        options = (*_HARMLESS, "rbind", "ro")
        mounts = [
            c.Mount(
                target, "bind", str(self._bundle.add_file(Path(target).name, text.encode(), 0o644)), options
            )
            for target, text in files.items()
        ]
        if script := operation.script:
            path = self._bundle.add_file(
                f"pipes/{script.name}", script.content.encode("utf-8", "surrogateescape"), 0o755
            )
            mounts.append(c.Mount(PIPES, "bind", str(path.parent), ("rbind", "ro")))
        return mounts

    def _mount(self, number: int, mount: ResolvedMount) -> c.Mount:
        if mount.kind == "tmpfs":
            size = () if mount.size_bytes is None else (f"size={mount.size_bytes}",)
            return c.Mount(mount.target, "tmpfs", "tmpfs", ("nosuid", *size))
        if mount.kind == "secret":
            path = self._bundle.add_file(f"secret-{number}", mount.content, mount.mode, mount.uid, mount.gid)
            return c.Mount(mount.target, "bind", str(path), (*_HARMLESS, "rbind", "ro"))
        if mount.kind == "ssh":
            path = self._bundle.directory / f"ssh-{number}"
            assert mount.agent is not None
            self.agents.append(open_agent_socket(path, mount.agent, mount.mode, mount.uid, mount.gid))
            return c.Mount(mount.target, "bind", str(path), (*_HARMLESS, "rbind"))
        return c.Mount(mount.target, "bind", str(mount.source), ("rbind", "ro" if mount.read_only else "rw"))


def _is_directory(mount: c.Mount) -> bool:
    return mount.kind != "bind" or Path(mount.source).is_dir()


def _make_directory(root: Path, path: str, user: User) -> None:
    """The working directory; what was missing belongs to the user, as in BuildKit."""
    missing = []
    here = path_in_root(root, path)
    while not here.exists():
        missing.append(here)
        here = here.parent
    for directory in reversed(missing):
        directory.mkdir()
        directory.chmod(0o755)
        os.chown(directory, user.uid, user.gid)
