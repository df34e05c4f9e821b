"""Interprets a pickle without ever unpickling it.

A pickle is a program. An unpickler that refuses all but a few classes still lets the file drive
numpy's and scipy's constructors, name any slot of its memo (which allocates up to it) and hash
any tuple. So the program is read here by `pickletools`, which runs nothing, and interpreted by a
small machine that knows only the instructions a pickled array needs and builds inert records
in place of the allowed classes. Anything else is refused, by name.
"""

import array
import dataclasses
import pickletools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

MAX_INSTRUCTIONS = 10_000  # a pickled matrix takes about 200


class Allowed(NamedTuple):
    """What a name in a pickle may stand for, and the instruction that may call it, if any."""

    kind: str
    made_by: str = ""


Names = Mapping[str, Allowed]

# What numpy's arrays are pickled with: `_frombuffer` from protocol 5 on, `_codecs.encode` and
# `bytes` up to protocol 2, which has no bytes.
ARRAYS: dict[str, Allowed] = {
    "numpy.ndarray": Allowed("ndarray"),
    "numpy.dtype": Allowed("dtype", "REDUCE"),
    **dict.fromkeys(
        ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"),
        Allowed("array", "REDUCE"),
    ),
    **dict.fromkeys(
        ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"),
        Allowed("buffer", "REDUCE"),
    ),
    "_codecs.encode": Allowed("encoded", "REDUCE"),
    **dict.fromkeys(("__builtin__.bytes", "builtins.bytes"), Allowed("bytes", "REDUCE")),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("BINSTRING", "SHORT_BINSTRING"),  # of Python 2, as Latin-1 text
}
_ELSEWHERE = {"NEXT_BUFFER", "READONLY_BUFFER"}


class Refused(Exception):
    """The file is not what it should be; the message says why, as a clause about "it"."""


@dataclasses.dataclass
class Record:
    """Stands for an object of an allowed class: how it was called, and its state."""

    kind: str
    args: tuple[Any, ...]
    state: Any = None


def interpret(
    program: bytes, allowed: Names, persistent: bool = False, *, numbers: bool = False
) -> Any:
    """What the pickle leaves on the stack: constants, tuples, dicts with text keys, `Record`s.

    Nothing of the program runs, and nothing is allocated beyond what is in its bytes.

    Args:
      program: the pickle; what follows its end is not looked at.
      allowed: what the names in it may stand for. A call becomes a Record of that kind.
      persistent: whether it may name objects that are kept elsewhere, which become Records of
        the kind "persistent".
      numbers: whether dicts may have whole numbers as keys as well, and there may be lists of
        numbers, which become float32 arrays; as many instructions are then allowed as there are
        bytes.

    Raises:
      Refused: it asks for more than that; a damaged one can raise any Exception.
    """
    machine = _Machine(allowed, persistent, numbers)
    most = max(len(program), MAX_INSTRUCTIONS) if numbers else MAX_INSTRUCTIONS
    for count, (opcode, argument, _) in enumerate(pickletools.genops(program)):
        if opcode.name == "STOP":
            return machine.stack.pop()
        if count >= most:
            raise Refused(f"it has more than {most} instructions")
        machine.step(opcode.name, argument)
    raise Refused("it ends without STOP")


class _Machine:
    """The state of a pickle program: a stack, the stacks set aside at marks, and a memo."""

    def __init__(self, allowed: Names, persistent: bool, numbers: bool):
        self.allowed, self.persistent = allowed, persistent
        self.keys = (str, int) if numbers else (str,)
        self.lists = numbers
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def step(self, op: str, argument: Any) -> None:
        """Does one instruction; raises Refused for one that an array does not need."""
        stack = self.stack
        match op:
            case "PROTO" | "FRAME":
                pass
            case _ if op in _CONSTANTS:
                stack.append(_CONSTANTS[op])
            case _ if op in _LITERALS:
                stack.append(argument)
            case "MARK":
                self.marks.append(stack)
                self.stack = []
            case "TUPLE":
                taken = self._to_mark()
                self.stack.append(tuple(taken))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(self._pop(int(op[-1])))
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "EMPTY_DICT":
                stack.append({})
            case "SETITEM" | "SETITEMS":
                items = self._pop(2) if op == "SETITEM" else self._to_mark()
                _set_items(self.stack[-1], items, self.keys)
            case "EMPTY_LIST" | "APPEND" | "APPENDS" if self.lists:
                self._list(op)
            case "GLOBAL":
                stack.append(self._find(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                module, name = self._pop(2)
                stack.append(self._find(f"{_text(module)}.{_text(name)}"))
            case "REDUCE" | "NEWOBJ":
                stack.append(_call(op, *self._pop(2)))
            case "BUILD":
                state = stack.pop()
                _build(stack[-1], state)
            case "BINPERSID" if self.persistent:
                stack.append(Record("persistent", self._pop(1)))
            case _ if op in _ELSEWHERE:
                raise Refused("its arrays were kept outside of it when it was written")
            case _:
                what = f"{op} {_shown(argument)}" if isinstance(argument, str) else op
                raise Refused(f"it asks for {what}, which no matrix needs")

    def _list(self, op: str) -> None:
        """Begins a list of numbers, or lengthens one."""
        if op == "EMPTY_LIST":
            self.stack.append(array.array("f"))
            return
        numbers = self._pop(1) if op == "APPEND" else self._to_mark()
        _append(self.stack[-1], numbers)

    def _find(self, name: str) -> Allowed:
        if name not in self.allowed:
            raise Refused(f"it asks for {_shown(name)}, which is not allowed")
        return self.allowed[name]

    def _pop(self, count: int) -> tuple[Any, ...]:
        if len(self.stack) < count:
            raise Refused("it takes more from its stack than is there")
        taken = tuple(self.stack[-count:])
        del self.stack[-count:]
        return taken

    def _to_mark(self) -> list[Any]:
        taken, self.stack = self.stack, self.marks.pop()
        return taken


def _shown(text: str) -> str:
    """Text of the file, as safe to print as it is short."""
    return ascii(text[:80].replace(" ", "."))[1:-1]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("it names a global by something other than text")
    return value


def _call(op: str, function: Any, args: Any) -> Record:
    """Records a call, by the one instruction that is for it."""
    if not (isinstance(function, Allowed) and function.made_by == op and isinstance(args, tuple)):
        raise Refused(f"its {op} calls something that no matrix needs")
    return Record(function.kind, args)


def _build(target: Any, state: Any) -> None:
    if not isinstance(target, Record) or target.state is not None:
        raise Refused("its BUILD changes something other than a new matrix, array or dtype")
    target.state = state


def _append(target: Any, numbers: Sequence[Any]) -> None:
    if not isinstance(target, array.array) or not all(type(x) in (int, float) for x in numbers):
        raise Refused("it has a list of something other than numbers")
    target.extend(numbers)


def _set_items(target: Any, items: Sequence[Any], keys: tuple[type, ...]) -> None:
    # Only plain keys: hashing a nested tuple can take for ever, and large numbers can all have
    # one hash.
    if not isinstance(target, dict) or not all(type(key) in keys for key in items[::2]):
        raise Refused("it fills something other than the attributes of a matrix")
    if not all(0 <= key < 1 << 31 for key in items[::2] if type(key) is int):
        raise Refused("it has numbers that are no index")
    target.update(zip(items[::2], items[1::2], strict=True))
