"""What a compiled program exchanges between devices, read from its text."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from mmssl_jax.planning import needs

_BYTES = {"f32": 4, "s32": 4, "u32": 4, "pred": 1, "u8": 1, "s8": 1, "bf16": 2, "s64": 8, "u64": 8}
_KINDS = "all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute"
_CALLS = re.compile(r"(?:to_apply|calls)=%?([\w.\-]+)")
_WHILE = re.compile(r" while\(.*condition=%?([\w.\-]+), body=%?([\w.\-]+)")
_BRANCHES = re.compile(r" conditional\(.*branch_computations=\{([^}]*)\}")
_TWO = re.compile(r" conditional\(.*true_computation=%?([\w.\-]+), false_computation=%?([\w.\-]+)")
_TRIPS = re.compile(r'known_trip_count":\{"n":"(\d+)"')
_MESH = re.compile(r"replica_groups=mesh\[([^\]]*)\][^{]*\{([^}]*)\}")


class Call(NamedTuple):
    """A collective in a program."""

    kind: str
    output: float  # bytes that it leaves on a device, times how often it runs in a step
    group: int  # devices of a group

    @property
    def received(self) -> float:
        """Bytes that a device receives."""
        return needs.received(self.kind, self.output, self.group)


def of_step(text: str, devices: int, chunks: int) -> list[Call]:
    """The collectives of one step of a program of `compile_steps`.

    The loop over steps counts once, other loops as often as they run. Of a conditional the branch
    counts that exchanges less: the others are rare, such as a rebuild of modality graphs.

    Args:
      text: of the compiled program.
      devices: of the mesh.
      chunks: how often a loop runs whose count the data decide; those are over chunks of a batch's
        training pairs.
    """
    computations, entry = _computations(text)

    def calls(name: str, depth: int) -> Iterator[Call]:
        for line in computations.get(name, ()):
            if found := _collective(line, devices):
                yield found
            elif loop := _WHILE.search(line):
                known = _TRIPS.search(line)
                times = int(known[1]) if known else (chunks if depth else 1)
                for each in calls(loop[2], depth + 1):
                    yield each._replace(output=each.output * times)
            elif branches := _BRANCHES.search(line) or _TWO.search(line):
                names = [each for part in branches.groups() for each in part.split(",")]
                lists = [list(calls(each.strip(" %"), depth)) for each in names]
                yield from min(lists, key=lambda some: sum(each.received for each in some))
            elif " fusion(" not in line and (inner := _CALLS.search(line)):
                yield from calls(inner[1], depth)

    return list(calls(entry, 0))


def by_kind(found: list[Call]) -> dict[str, float]:
    """Kind -> bytes that a device receives."""
    sums: Counter[str] = Counter()
    for each in found:
        sums[each.kind] += each.received
    return dict(sums)


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Name -> lines of every computation of a program, and the name of the first to run."""
    found: dict[str, list[str]] = {}
    entry, lines = "", []
    for line in text.splitlines():
        if line[:1] in ("%", "E") and line.endswith("{"):
            name = line.removeprefix("ENTRY ").split(" ", 1)[0].lstrip("%")
            lines = found.setdefault(name, [])
            entry = name if line.startswith("ENTRY") else entry
        else:
            lines.append(line)
    return found, entry


def _collective(line: str, devices: int) -> Call | None:
    match = re.search(rf"= (.*?) ({_KINDS})(?:-start)?\(", line)
    if match is None:
        return None
    shapes = re.findall(r"(\w+)\[([\d,]*)\]", match[1])
    output = sum(_BYTES[kind] * _product(sizes) for kind, sizes in shapes)
    return Call(match[2], float(output), _group(line, devices))


def _product(sizes: str) -> int:
    result = 1
    for size in filter(None, sizes.split(",")):
        result *= int(size)
    return result


def _group(line: str, devices: int) -> int:
    """The devices of a group, in any of the ways that XLA writes them."""
    if mesh := _MESH.search(line):
        sizes = dict(part.split("=") for part in mesh[1].replace("'", "").split(","))
        group = 1
        for axis in mesh[2].replace("'", "").split(","):
            name, _, part = axis.partition(":")
            group *= int(part.rpartition(")")[2] if part else sizes[name.strip()])
        return group
    if rows := re.search(r"replica_groups=\[\d+,(\d+)\]", line):
        return int(rows[1])
    if first := re.search(r"replica_groups=\{\{([\d,]+)\}", line):
        return len(first[1].split(","))
    return devices
