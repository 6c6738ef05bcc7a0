"""The files that say which meshes run here.

Each running mesh has a file `<name>.json` in the runtime directory, written atomically by `tage up` when it knows its
addresses and removed at its end, and a directory `<name>.run` for what its processes keep while they run. The lock that
makes a name unique is an flock on that directory: it vanishes with its holder, so what a killed run left behind is
cleared by the next one and never has to be guessed at. The files of dead processes are ignored and removed on sight.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tage.cli.errors import CommandError

CONTROL_VARIABLE = "TAGE_CONTROL"


class RunningMesh(msgspec.Struct, frozen=True, omit_defaults=True):
    """`control` and `xds` are HOST:PORT of the control plane's HTTP API and of its xDS server, `client` is that of the
    proxy through which people call the mesh, `clients` those for other protocols, by the names of their ports."""

    name: str
    pid: int
    control: str
    xds: str
    client: str = ""
    started: int = 0
    """Start time of `pid` in clock ticks since boot (/proc/PID/stat), which tells a reused pid; 0: not known."""
    clients: dict[str, str] = {}


def directory() -> Path:
    """Where running meshes are registered: `$XDG_RUNTIME_DIR/tage`, or `/tmp/tage-<uid>` without one. May not exist."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    # The variable is to be ignored unless absolute (XDG Base Directory Specification).
    return Path(base) / "tage" if base.startswith("/") else Path(f"/tmp/tage-{os.getuid()}")


def ensure_directory() -> Path:
    """`directory()`, created with mode 0700. Anyone may create a name in /tmp: one that is not ours is refused."""
    path = directory()
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        info = path.lstat()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}; set XDG_RUNTIME_DIR to a directory of your own", 2) from None
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise CommandError(f"{path}: not a directory that only you can open; remove it or set XDG_RUNTIME_DIR", 2)
    return path


def start_time(pid: int) -> int:
    """Start time of a process in clock ticks since boot, 0 if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    # The command stands in parentheses and may hold any character; the 22nd field is the 20th after it.
    return int(text.rpartition(")")[2].split()[19])


def running() -> list[RunningMesh]:
    """The meshes that run here, by name. Files of dead processes are removed."""
    found = []
    for path in sorted(directory().glob("*.json")):
        try:
            mesh = msgspec.json.decode(path.read_bytes(), type=RunningMesh)
        except FileNotFoundError:
            continue  # Its mesh ended between the listing and now.
        except (OSError, msgspec.DecodeError) as error:
            raise CommandError(f"{path}: {error}; remove it if no mesh runs") from None
        started = start_time(mesh.pid)
        if started and mesh.started in (0, started):
            found.append(mesh)
        else:
            path.unlink(missing_ok=True)
    return found


def find_control(option: str) -> str:
    """HOST:PORT of the control plane: `option`, else $TAGE_CONTROL, else the only mesh that runs here.

    Raises `CommandError` where that names none or several.
    """
    given = option or os.environ.get(CONTROL_VARIABLE, "")
    if given:
        host, colon, port = given.rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            source = "--control" if option else CONTROL_VARIABLE
            raise CommandError(f"{source}: expected HOST:PORT, as 127.0.0.1:15014, not {given!r}", 2)
        return given
    meshes = running()
    if not meshes:
        raise CommandError("no mesh runs here: start one with `tage up MESH.yaml`, or say --control HOST:PORT", 2)
    if len(meshes) > 1:
        listed = ", ".join(f"{mesh.name} ({mesh.control})" for mesh in meshes)
        raise CommandError(f"several meshes run here: {listed}; say which with --control HOST:PORT", 2)
    return meshes[0].control


class RunDirectory:
    """A mesh's own directory for the time it runs; owning it is owning the mesh's name on this machine.

    Raises `CommandError` if the mesh already runs. `close` removes everything.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._base = ensure_directory()
        self.path = self._base / f"{name}.run"
        self._lock = self._acquire()
        # We hold the name: whatever lies here is of a run that was killed.
        for left in self.path.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()

    def register(
        self, control: str, xds: str, client: str = "", clients: Mapping[str, str] | None = None
    ) -> RunningMesh:
        """Let the other commands find this mesh."""
        mesh = RunningMesh(self.name, os.getpid(), control, xds, client, start_time(os.getpid()), dict(clients or {}))
        write_atomically(self._base / f"{self.name}.json", msgspec.json.encode(mesh))
        return mesh

    def close(self) -> None:
        """Remove the mesh's files, and the runtime directory with the last mesh."""
        (self._base / f"{self.name}.json").unlink(missing_ok=True)
        # A process that is being killed may still create a file while its directory is removed: one more go.
        with contextlib.suppress(OSError):
            shutil.rmtree(self.path)
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)
        with contextlib.suppress(OSError):
            self._base.rmdir()

    def _acquire(self) -> int:
        for _ in range(100):
            with contextlib.suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
            try:
                lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue  # The holder before us has just removed it.
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # It may have been removed between open and flock; then we locked a directory that has no name.
                if os.stat(self.path).st_ino == os.fstat(lock).st_ino:
                    return lock
            except BlockingIOError:
                os.close(lock)
                raise CommandError(f"mesh {self.name} already runs here{self._holder()}; stop it first") from None
            except FileNotFoundError:
                pass
            os.close(lock)
        raise CommandError(f"{self.path}: cannot be locked; is something else removing it?")

    def _holder(self) -> str:
        pids = [mesh.pid for mesh in running() if mesh.name == self.name]
        return f" (pid {pids[0]})" if pids else ""


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that a reader sees the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
