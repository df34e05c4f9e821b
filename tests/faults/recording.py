"""What a process does to the files of a folder, call by call, as strace sees it.

Threads and libraries that are not Python write files too, so nothing inside the process would do.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_CALLS = (
    "open,openat,creat,close,dup,dup2,dup3,fcntl,lseek,write,writev,pwrite64,pwritev,pwritev2,"
    "ftruncate,truncate,fallocate,copy_file_range,sendfile,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,fsync,fdatasync"
)
_LONGEST = 1 << 26  # bytes of a write that are kept
_LINE = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)(?:<[^>]*>)?(?: .*)?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_FD = re.compile(r"(\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")


class Call(NamedTuple):
    """One call that succeeded: `kind` is the name of a method of `power_cut.Disk`, or 'say'."""

    kind: str
    arguments: tuple[Any, ...]


def problem() -> str:
    """Why nothing can be recorded here; '' where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-f", "-o", os.devnull, "true"], capture_output=True)
    return "strace may not trace here" if tried.returncode else ""


def record(
    command: Sequence[str], folder: Path, notes: Path, environment: Mapping[str, str]
) -> list[Call]:
    """Runs a command, and gives what it did below `folder` and what it wrote to stderr.

    Args:
      command: must end with 0.
      folder: absolute, without links.
      notes: of strace; a file outside the folder.
      environment: of the command.
    """
    strace = ["strace", "-f", "-y", "-xx", "--seccomp-bpf", "-s", str(_LONGEST)]
    strace += ["-e", f"trace={_CALLS}", "-o", str(notes), *command]
    done = subprocess.run(strace, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return list(_Reader(str(folder)).calls(notes))


class _Reader:
    """Turns lines of strace into calls; knows which open file each descriptor stands for."""

    def __init__(self, root: str):
        self._root = root
        self._open: dict[int, list[int]] = {}  # descriptor -> the open file that it shares
        self._files = 0

    def calls(self, notes: Path) -> Iterator[Call]:
        for line in _whole_lines(notes):
            match = _LINE.fullmatch(line)
            if match and int(match[3]) >= 0:
                yield from self._calls(match[1], match[2], int(match[3]))

    def _calls(self, name: str, given: str, result: int) -> Iterator[Call]:
        texts = [bytes.fromhex(text.replace("\\x", "")) for text, _ in _TEXT.findall(given)]
        fds = [
            (number, bytes.fromhex(path.replace("\\x", "")).decode())
            for number, path in _FD.findall(given)
        ]
        if name in ("write", "writev") and given.startswith("2<") and not self._inside(fds[0][1]):
            yield Call("say", (b"".join(texts).decode(errors="replace"),))
        elif name in ("open", "openat", "creat"):
            path = self._path(texts[0], fds)
            if self._inside(path):
                self._files += 1
                self._open[result] = [self._files]
                flags = "O_CREAT|O_TRUNC" if name == "creat" else given
                how = (flag in flags for flag in ("O_CREAT", "O_TRUNC", "O_APPEND"))
                yield Call("open", (self._files, path, *how))
            else:
                self._open.pop(result, None)
        elif fds and fds[0][0].isdigit() and name in _BY_FD:
            if self._inside(fds[0][1]) and int(fds[0][0]) in self._open:
                yield from self._on_open(name, int(fds[0][0]), given, texts, result)
        elif name in _BY_PATH:
            yield from self._by_path(name, given, texts, fds)

    def _on_open(
        self, name: str, fd: int, given: str, texts: list[bytes], result: int
    ) -> Iterator[Call]:
        file = self._open[fd][0]
        last = given.rpartition(", ")[2]
        if name == "close":
            del self._open[fd]
        elif name in ("dup", "dup2", "dup3") or "F_DUPFD" in given:
            self._open[result] = self._open[fd]
        elif name == "lseek":
            yield Call("seek", (file, result))
        elif name in ("write", "writev"):
            yield Call("write", (file, b"".join(texts)[:result], None))
        elif name in ("pwrite64", "pwritev"):
            yield Call("write", (file, b"".join(texts)[:result], int(last)))
        elif name == "ftruncate":
            yield Call("truncate", (file, int(last)))
        elif name in ("fsync", "fdatasync"):
            yield Call("sync", (file,))
        else:
            assert name == "fcntl", f"{name} is not understood"

    def _by_path(
        self, name: str, given: str, texts: list[bytes], fds: list[tuple[str, str]]
    ) -> Iterator[Call]:
        paths = [self._path(text, fds[place : place + 1]) for place, text in enumerate(texts)]
        if not any(map(self._inside, paths)):
            return
        assert all(map(self._inside, paths)), f"{name} crosses the folder's edge"
        if name.startswith("rename"):
            kind = "exchange" if "RENAME_EXCHANGE" in given else "rename"
            yield Call(kind, tuple(paths))
        elif name in ("mkdir", "mkdirat"):
            yield Call("mkdir", tuple(paths))
        elif name in ("unlink", "unlinkat", "rmdir"):
            yield Call("remove", tuple(paths))
        elif name in ("link", "linkat"):
            yield Call("link", tuple(paths))
        else:
            raise AssertionError(f"{name} is not understood")

    def _path(self, text: bytes, fds: Sequence[tuple[str, str]]) -> str:
        return os.path.normpath(os.path.join(fds[0][1] if fds else "/", text.decode()))

    def _inside(self, path: str) -> bool:
        return path == self._root or path.startswith(self._root + os.sep)


_BY_FD = (
    *("close", "dup", "dup2", "dup3", "fcntl", "lseek", "write", "writev", "pwrite64", "pwritev"),
    *("pwritev2", "ftruncate", "fallocate", "copy_file_range", "sendfile", "fsync", "fdatasync"),
)
_BY_PATH = (
    *("rename", "renameat", "renameat2", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir"),
    *("link", "linkat", "symlink", "symlinkat", "truncate"),
)


def _whole_lines(notes: Path) -> Iterator[str]:
    """The lines without their process; a call that others interrupt counts where it returns."""
    begun: dict[str, str] = {}
    with notes.open(encoding="ascii") as lines:
        for line in lines:
            process, _, rest = line.rstrip("\n").partition(" ")
            rest = rest.strip()
            if rest.endswith("<unfinished ...>"):
                begun[process] = rest.removesuffix("<unfinished ...>")
            elif rest.startswith("<... "):
                yield begun.pop(process, "") + rest.partition(" resumed>")[2]
            else:
                yield rest
