"""Reads the sparse matrix in a pickle without ever unpickling it.

A pickle is a program. An unpickler that refuses all but a few classes still lets the file drive
numpy's and scipy's constructors, name any slot of its memo (which allocates up to it) and hash
any tuple. So the program is read here by `pickletools`, which runs nothing, and interpreted by a
small machine that knows only the instructions a pickled matrix needs and builds inert records
in place of the allowed classes. Anything else is refused, by name.
"""

import dataclasses
import pickletools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmssl_jax.errors import InputError

MAX_BYTES = 1 << 30
MAX_INSTRUCTIONS = 10_000  # a pickled matrix takes about 200

# The allow-list: what a name in the pickle may stand for.
_ALLOWED = {
    "scipy.sparse.coo coo_matrix": "coo",
    "scipy.sparse._coo coo_matrix": "coo",
    "scipy.sparse.csr csr_matrix": "csr",
    "scipy.sparse._csr csr_matrix": "csr",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "numpy.core.multiarray _reconstruct": "array",
    "numpy._core.multiarray _reconstruct": "array",
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}


class Matrix(NamedTuple):
    """The entries of a matrix that are not zero: `users` and `items` are int64 [n]."""

    shape: tuple[int, int]
    users: np.ndarray
    items: np.ndarray


class _Refused(Exception):
    """The file is not a pickled matrix; the message says why."""


@dataclasses.dataclass(frozen=True)
class _Name:
    """An allowed global."""

    kind: str


@dataclasses.dataclass
class _Record:
    """Stands for an object of an allowed class: how it was called, and its state."""

    kind: str
    args: tuple
    state: Any = None


def read_matrix(path: Path) -> Matrix:
    """The scipy coo_matrix or csr_matrix pickled (protocols 3 to 5) in `path`.

    Raises InputError for anything else; no code of the file runs, and memory stays within a few
    times the size of the file, which is at most `MAX_BYTES`.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise _Refused(f"{size} bytes are more than the {MAX_BYTES} allowed")
        return _matrix(_interpret(path.read_bytes()))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # garbage can fail anywhere, and must always end as one line
        reason = str(error) if isinstance(error, _Refused) else f"damaged: {error!r}"[:200]
        raise InputError(
            f"{path}: refused, nothing in it was run: {' '.join(reason.split())}; expected a "
            "pickled scipy coo_matrix or csr_matrix, so get the file again or import the data"
        ) from error


def _interpret(program: bytes) -> Any:
    """Runs the pickle on the small machine; returns what it leaves on the stack."""
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(program)):
        if opcode.name == "STOP":
            return machine.stack.pop()
        if count >= MAX_INSTRUCTIONS:
            raise _Refused(f"it has more than {MAX_INSTRUCTIONS} instructions")
        machine.step(opcode.name, argument)
    raise _Refused("it ends without STOP")


class _Machine:
    """The state of a pickle program: a stack, the stacks set aside at marks, and a memo."""

    def __init__(self):
        self.stack: list = []
        self.marks: list[list] = []
        self.memo: dict[int, Any] = {}

    def step(self, op: str, argument: Any) -> None:
        """Does one instruction; raises _Refused for one that a matrix does not need."""
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
                stack = self._to_mark()
                self.stack.append(tuple(stack))
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
            case "SETITEM":
                key, value = self._pop(2)
                _set_items(stack[-1], [key, value])
            case "SETITEMS":
                items = self._to_mark()
                _set_items(self.stack[-1], items)
            case "GLOBAL":
                stack.append(_find(argument))
            case "STACK_GLOBAL":
                stack.append(_find("%s %s" % tuple(map(_text, self._pop(2)))))
            case "REDUCE" | "NEWOBJ":
                stack.append(_call(op, *self._pop(2)))
            case "BUILD":
                state = stack.pop()
                _build(stack[-1], state)
            case _:
                shown = f" {ascii(argument)[:80]}" if isinstance(argument, str) else ""
                raise _Refused(f"it asks for {op}{shown}, which no matrix needs")

    def _pop(self, count: int) -> tuple:
        if len(self.stack) < count:
            raise _Refused("it takes more from its stack than is there")
        taken = tuple(self.stack[-count:])
        del self.stack[-count:]
        return taken

    def _to_mark(self) -> list:
        taken, self.stack = self.stack, self.marks.pop()
        return taken


def _find(name: str) -> _Name:
    if name not in _ALLOWED:
        raise _Refused(f"it asks for {ascii(name)[1:81].rstrip(chr(39))}, which is not allowed")
    return _Name(_ALLOWED[name])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Refused("it names a global by something other than text")
    return value


def _call(op: str, function: Any, args: Any) -> _Record:
    """Records a call; the classes of matrices are made by NEWOBJ, arrays and dtypes by REDUCE."""
    made_by = {"NEWOBJ": ("coo", "csr"), "REDUCE": ("array", "dtype")}[op]
    if not (isinstance(function, _Name) and function.kind in made_by and isinstance(args, tuple)):
        raise _Refused(f"its {op} calls something that no matrix needs")
    return _Record(function.kind, args)


def _build(target: Any, state: Any) -> None:
    if not isinstance(target, _Record) or target.state is not None:
        raise _Refused("its BUILD changes something other than a new matrix, array or dtype")
    target.state = state


def _set_items(target: Any, items: list) -> None:
    # Only text keys: hashing a nested tuple can take for ever.
    if not isinstance(target, dict) or not all(isinstance(key, str) for key in items[::2]):
        raise _Refused("it fills something other than the attributes of a matrix")
    target.update(zip(items[::2], items[1::2], strict=True))


def _matrix(record: Any) -> Matrix:
    """The entries of a recorded matrix, every index checked against its shape."""
    if not (isinstance(record, _Record) and record.kind in ("coo", "csr")):
        raise _Refused("it holds no sparse matrix")
    state = record.state
    if not isinstance(state, dict):
        raise _Refused("its matrix has no attributes")
    shape = _shape(state.get("_shape"))
    data = _array(state.get("data"), "data")
    if record.kind == "coo":
        # scipy < 1.13 keeps row and col, later versions keep both in coords.
        coords = state.get("coords") or (state.get("row"), state.get("col"))
        if not isinstance(coords, tuple) or len(coords) != 2:
            raise _Refused("its coords are not a pair of arrays")
        users, items = _indices(coords[0], "row"), _indices(coords[1], "col")
    else:
        users = _expand(_indices(state.get("indptr"), "indptr"), shape[0], len(data))
        items = _indices(state.get("indices"), "indices")
    if not len(users) == len(items) == len(data):
        raise _Refused(f"it has {len(users)} rows, {len(items)} columns and {len(data)} values")
    for name, ids, bound in (("row", users, shape[0]), ("column", items, shape[1])):
        if len(ids) and not (ids.min() >= 0 and ids.max() < bound):
            raise _Refused(f"a {name} index lies outside its shape {shape}")
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        raise _Refused("its values are not all finite")
    kept = data != 0
    return Matrix(shape, users[kept], items[kept])


def _shape(value: Any) -> tuple[int, int]:
    if not (
        isinstance(value, tuple)
        and len(value) == 2
        and all(type(length) is int and 0 <= length < 1 << 31 for length in value)
    ):
        raise _Refused("its shape is not a pair of sizes")
    return value


def _array(record: Any, name: str) -> np.ndarray:
    """The 1-d array of a recorded `_reconstruct` and state, a view of the bytes of the file."""
    if not (isinstance(record, _Record) and record.kind == "array"):
        raise _Refused(f"its {name} is not an array")
    state = record.state
    if not (isinstance(state, tuple) and len(state) == 5):
        raise _Refused(f"its {name} has no contents")
    _, shape, dtype, _, contents = state
    dtype = _dtype(dtype, name)
    if not (isinstance(shape, tuple) and len(shape) == 1 and type(shape[0]) is int):
        raise _Refused(f"its {name} is not 1-d")
    if not isinstance(contents, bytes) or len(contents) != shape[0] * dtype.itemsize:
        raise _Refused(f"its {name} does not hold the {shape[0]} values it announces")
    return np.frombuffer(contents, dtype)


def _dtype(record: Any, name: str) -> np.dtype:
    if not (isinstance(record, _Record) and record.kind == "dtype" and record.args):
        raise _Refused(f"its {name} has no dtype")
    code, state = record.args[0], record.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
    if not (isinstance(code, str) and code in _DTYPES):
        raise _Refused(f"its {name} has dtype {ascii(code)[:20] if isinstance(code, str) else '?'}")
    if order not in ("<", ">", "|"):
        raise _Refused(f"its {name} has no byte order")
    return np.dtype(order + code)


def _indices(record: Any, name: str) -> np.ndarray:
    values = _array(record, name)
    if values.dtype.kind not in "iu":
        raise _Refused(f"its {name} holds {values.dtype}, not integers")
    return values.astype(np.int64)


def _expand(indptr: np.ndarray, rows: int, entries: int) -> np.ndarray:
    """The row of each entry of a csr_matrix."""
    counts = np.diff(indptr)
    if len(indptr) != rows + 1 or indptr[0] != 0 or indptr[-1] != entries or (counts < 0).any():
        raise _Refused("its indptr does not fit its shape and values")
    return np.repeat(np.arange(rows), counts)
