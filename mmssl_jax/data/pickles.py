"""Interprets a pickle without ever unpickling it.

A pickle is a program. An unpickler that refuses all but a few classes still lets the file drive
numpy's and scipy's constructors, name any slot of its memo (which allocates up to it) and hash
any tuple. So the program is read here by `pickletools`, which runs nothing, and interpreted by a
small machine that knows only the instructions a pickled matrix needs and builds inert records
in place of the allowed classes. Anything else is refused, by name.
"""

import dataclasses
import pickletools
from collections.abc import Sequence
from typing import Any

MAX_INSTRUCTIONS = 10_000  # a pickled matrix takes about 200

# The allow-list: what a name in the pickle may stand for.
_ALLOWED = {
    "scipy.sparse.coo.coo_matrix": "coo",
    "scipy.sparse._coo.coo_matrix": "coo",
    "scipy.sparse.csr.csr_matrix": "csr",
    "scipy.sparse._csr.csr_matrix": "csr",
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "numpy.core.multiarray._reconstruct": "array",
    "numpy._core.multiarray._reconstruct": "array",
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}


class Refused(Exception):
    """The file is not a pickled matrix; the message says why, as a clause about "it"."""


@dataclasses.dataclass(frozen=True)
class _Name:
    """An allowed global."""

    kind: str


@dataclasses.dataclass
class Record:
    """Stands for an object of an allowed class: how it was called, and its state."""

    kind: str
    args: tuple
    state: Any = None


def interpret(program: bytes) -> Any:
    """What the pickle leaves on the stack: constants, tuples, dicts with text keys, `Record`s.

    Nothing of the program runs, and nothing is allocated beyond what is in its bytes. Raises
    Refused where it asks for more than a matrix needs; a damaged one can raise any Exception.
    """
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(program)):
        if opcode.name == "STOP":
            return machine.stack.pop()
        if count >= MAX_INSTRUCTIONS:
            raise Refused(f"it has more than {MAX_INSTRUCTIONS} instructions")
        machine.step(opcode.name, argument)
    raise Refused("it ends without STOP")


class _Machine:
    """The state of a pickle program: a stack, the stacks set aside at marks, and a memo."""

    def __init__(self):
        self.stack: list = []
        self.marks: list[list] = []
        self.memo: dict[int, Any] = {}

    def step(self, op: str, argument: Any) -> None:
        """Does one instruction; raises Refused for one that a matrix does not need."""
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
                items = self._to_mark()
                self.stack.append(tuple(items))
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
                _set_items(self.stack[-1], items)
            case "GLOBAL":
                stack.append(_find(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                module, name = self._pop(2)
                stack.append(_find(f"{_text(module)}.{_text(name)}"))
            case "REDUCE" | "NEWOBJ":
                stack.append(_call(op, *self._pop(2)))
            case "BUILD":
                state = stack.pop()
                _build(stack[-1], state)
            case _:
                what = f"{op} {_shown(argument)}" if isinstance(argument, str) else op
                raise Refused(f"it asks for {what}, which no matrix needs")

    def _pop(self, count: int) -> tuple:
        if len(self.stack) < count:
            raise Refused("it takes more from its stack than is there")
        taken = tuple(self.stack[-count:])
        del self.stack[-count:]
        return taken

    def _to_mark(self) -> list:
        taken, self.stack = self.stack, self.marks.pop()
        return taken


def _find(name: str) -> _Name:
    if name not in _ALLOWED:
        raise Refused(f"it asks for {_shown(name)}, which is not allowed")
    return _Name(_ALLOWED[name])


def _shown(text: str) -> str:
    """Text of the file, as safe to print as it is short."""
    return ascii(text[:80].replace(" ", "."))[1:-1]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("it names a global by something other than text")
    return value


def _call(op: str, function: Any, args: Any) -> Record:
    """Records a call; the classes of matrices are made by NEWOBJ, arrays and dtypes by REDUCE."""
    made_by = {"NEWOBJ": ("coo", "csr"), "REDUCE": ("array", "dtype")}[op]
    if not (isinstance(function, _Name) and function.kind in made_by and isinstance(args, tuple)):
        raise Refused(f"its {op} calls something that no matrix needs")
    return Record(function.kind, args)


def _build(target: Any, state: Any) -> None:
    if not isinstance(target, Record) or target.state is not None:
        raise Refused("its BUILD changes something other than a new matrix, array or dtype")
    target.state = state


def _set_items(target: Any, items: Sequence) -> None:
    # Only text keys: hashing a nested tuple can take for ever.
    if not isinstance(target, dict) or not all(isinstance(key, str) for key in items[::2]):
        raise Refused("it fills something other than the attributes of a matrix")
    target.update(zip(items[::2], items[1::2], strict=True))
