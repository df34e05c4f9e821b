"""A disk in memory, and what may be left of it after a power cut.

The rules are those of POSIX, which promise less than any file system does: of what was written to a
file since its last fsync, any part may be lost; and so may what was done to the names in a folder
since the last fsync of the folder, from some moment on.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Content = dict[str, bytes | None]  # path below the root -> the file's bytes, None for a folder


@dataclass(eq=False)
class File:
    """Its bytes; those that are surely on the disk; and what was done since."""

    data: bytes = b""
    synced: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: cut off there

    def do(self, place: int, data: bytes | None) -> None:
        self.data = _done(self.data, place, data)
        self.pending.append((place, data))

    def sync(self) -> None:
        self.synced, self.pending = self.data, []

    def torn(self, rng: np.random.Generator) -> bytes:
        """What is left where some of what was done has come to the disk, the last of it in part."""
        if not self.pending:
            return self.data
        kept = int(rng.integers(len(self.pending) + 1))
        left = self.synced
        for place, data in self.pending[:kept]:
            left = _done(left, place, data)
        if kept < len(self.pending) and (data := self.pending[kept][1]):
            left = _done(left, self.pending[kept][0], data[: int(rng.integers(len(data)))])
        if rng.random() < 0.3 and len(left) < len(self.data):
            left += bytes(len(self.data) - len(left))  # its length came to the disk, no data did
        return left


def _done(before: bytes, place: int, data: bytes | None) -> bytes:
    if data is None:
        return before[:place] + bytes(max(0, place - len(before)))
    before += bytes(max(0, place - len(before)))
    return before[:place] + data + before[place + len(data) :]


@dataclass(eq=False)
class Folder:
    """Its names; those that are surely on the disk; and what was done since."""

    names: dict[str, "File | Folder"] = field(default_factory=dict)
    synced: dict[str, "File | Folder"] = field(default_factory=dict)
    pending: list["Change"] = field(default_factory=list)

    def sync(self) -> None:
        for change in list(self.pending):
            for folder, name, node in change:
                _put(folder.synced, name, node)
                folder.pending = [other for other in folder.pending if other is not change]


Change = list[tuple[Folder, str, "File | Folder | None"]]  # all of it, or nothing
Names = Callable[[Folder], dict[str, File | Folder]]


def _put(names: dict[str, File | Folder], name: str, node: File | Folder | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


@dataclass
class _Open:
    node: File | Folder
    place: int
    append: bool


class Disk:
    """Does what `recording.Call` says; then shows what a power cut may leave of it."""

    def __init__(self, root: Path):
        """Starts with what is at `root`, all of it on the disk."""
        self._root, self._top = str(root), _read(root)
        self._open: dict[int, _Open] = {}

    def open(self, file: int, path: str, create: bool, cut: bool, append: bool) -> None:
        folder, name = self._place(path)
        node = folder.names.get(name) if name else folder
        if node is None:
            assert create, path
            node = File()
            self._change([(folder, name, node)])
        if cut and isinstance(node, File) and node.data:
            node.do(0, None)
        self._open[file] = _Open(node, 0, append)

    def seek(self, file: int, place: int) -> None:
        self._open[file].place = place

    def write(self, file: int, data: bytes, place: int | None) -> None:
        opened = self._open[file]
        assert isinstance(opened.node, File)
        if place is None:
            place = len(opened.node.data) if opened.append else opened.place
            opened.place = place + len(data)
        opened.node.do(place, data)

    def truncate(self, file: int, size: int) -> None:
        node = self._open[file].node
        assert isinstance(node, File)
        if size != len(node.data):
            node.do(size, None)

    def sync(self, file: int) -> None:
        self._open[file].node.sync()

    def mkdir(self, path: str) -> None:
        self._change([(*self._place(path), Folder())])

    def remove(self, path: str) -> None:
        self._change([(*self._place(path), None)])

    def link(self, old: str, new: str) -> None:
        self._change([(*self._place(new), self._node(old))])

    def rename(self, old: str, new: str) -> None:
        node = self._node(old)
        self._change([(*self._place(old), None), (*self._place(new), node)])

    def exchange(self, one: str, other: str) -> None:
        nodes = self._node(other), self._node(one)
        self._change([(*self._place(one), nodes[0]), (*self._place(other), nodes[1])])

    def kept(self) -> Content:
        """All that was done, as after a kill."""
        return self._content(lambda folder: folder.names, lambda file: file.data)

    def dropped(self) -> Content:
        """Without all data that was not synced; the names are there."""
        return self._content(lambda folder: folder.names, lambda file: file.synced)

    def torn(self, rng: np.random.Generator) -> Content:
        """With a part of the data that was not synced."""
        return self._content(lambda folder: folder.names, lambda file: file.torn(rng))

    def unnamed(self, rng: np.random.Generator) -> Content:
        """Without some of the last names of folders that were not synced; data torn as well."""
        lost: list[Change] = []
        for folder in self._folders():
            cut = int(rng.integers(len(folder.pending) + 1))
            lost += folder.pending[cut:]

        def names(folder: Folder) -> dict[str, File | Folder]:
            left = dict(folder.synced)
            for change in folder.pending:
                for place, name, node in change:
                    if place is folder and not any(change is other for other in lost):
                        _put(left, name, node)
            return left

        return self._content(names, lambda file: file.torn(rng))

    def _folders(self) -> Iterator[Folder]:
        waiting, met = [self._top], set()
        while waiting:
            folder = waiting.pop()
            if id(folder) not in met:
                met.add(id(folder))
                yield folder
                inside = [*folder.names.values(), *folder.synced.values()]
                waiting += [node for node in inside if isinstance(node, Folder)]

    def _content(self, names: Names, data: Callable[[File], bytes]) -> Content:
        found: Content = {}

        def walk(folder: Folder, path: str) -> None:
            for name, node in sorted(names(folder).items()):
                if isinstance(node, File):
                    found[path + name] = data(node)
                else:
                    found[path + name] = None
                    walk(node, f"{path}{name}/")

        walk(self._top, "")
        return found

    def _change(self, change: Change) -> None:
        for folder, name, node in change:
            _put(folder.names, name, node)
        for folder in {id(folder): folder for folder, _, _ in change}.values():
            folder.pending.append(change)

    def _place(self, path: str) -> tuple[Folder, str]:
        *parts, name = os.path.relpath(path, self._root).split(os.sep)
        folder = self._top
        for part in parts:
            inside = folder.names[part]
            assert isinstance(inside, Folder)
            folder = inside
        return (folder, "") if name == "." else (folder, name)

    def _node(self, path: str) -> File | Folder:
        folder, name = self._place(path)
        return folder.names[name]


def _read(path: Path) -> Folder:
    folder = Folder()
    for inside in sorted(path.iterdir()):
        if inside.is_dir():
            folder.names[inside.name] = _read(inside)
        else:
            content = inside.read_bytes()
            folder.names[inside.name] = File(content, content)
    folder.synced = dict(folder.names)
    return folder


def write(content: Content, root: Path) -> None:
    """Writes what was left into a new folder."""
    root.mkdir(parents=True)
    for name, data in content.items():
        if data is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(data)


def read(root: Path) -> Content:
    """What is in a folder."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob("*"))
    }
