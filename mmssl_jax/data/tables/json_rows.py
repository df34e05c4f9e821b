"""Tables in JSON: an object a line (JSON lines), or one list of objects.

Numbers become the text that stands there, so that ids keep their spelling, and a bad line costs
only itself; polars' own reader does neither.
"""

import codecs
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

import polars as pl

from mmssl_jax.data.checks.wording import counted, worded
from mmssl_jax.data.tables import column_names, row_limits, unused_columns
from mmssl_jax.data.tables.values import IDS
from mmssl_jax.errors import InputError

SUFFIXES = (".json", ".jsonl", ".ndjson", ".jsonlines")
MAX_VALUE = 1 << 20  # bytes of a line, or of an object in a list
MAX_COLUMNS = 1000
_SAMPLE, _CHUNK = 1000, 100_000  # objects whose keys are the columns; rows that become a frame
_MOST_BAD = 100  # one in so many lines may be no object
_START = re.compile(rb'(\[\s*)?\{\s*"')
_BLANKS = re.compile(r"[ \t\r\n]*")

Object = dict[str, Any]


def looks_like(start: bytes, suffix: str) -> bool:
    """Whether a file that starts so is JSON and not text with separators."""
    start = start.removeprefix(codecs.BOM_UTF8).lstrip()
    if suffix in SUFFIXES:
        return True
    return suffix not in (".csv", ".tsv") and _START.match(start) is not None


def read(
    path: Path, stream: BufferedReader, columns: Mapping[str, str | None]
) -> tuple[pl.DataFrame, dict[str, str], list[str]]:
    """The columns that `columns` asks for, named by their roles, as text; null where there is none.

    Besides: their own names, and what is to be said.

    Raises:
      InputError: a column is missing, or more than one in 100 lines is no JSON object.
    """
    objects = _Objects(path, stream)
    rows = iter(objects)
    sample = list(itertools.islice(rows, _SAMPLE))
    names = list(dict.fromkeys(name for row in sample for name in row))
    if not names:
        objects.said(len(sample))  # raises where there are bad lines
        raise InputError(f"{path}: holds no JSON object with keys, an object a line")
    if len(names) > MAX_COLUMNS:
        raise InputError(f"{path}: has more than {MAX_COLUMNS} keys in its objects; it is no table")
    nested = {name for row in sample for name, value in row.items() if type(value) in (dict, list)}
    taken, said = column_names.take(path, names, columns, "", lambda role, name: name not in nested)
    said += unused_columns.said(path, names, taken)
    schema = dict.fromkeys(taken, pl.String)
    frames, count = [pl.DataFrame(schema=schema)], 0
    rows = itertools.chain(sample, rows)
    while part := list(itertools.islice(rows, _CHUNK)):
        count += len(part)
        row_limits.check_count(path, count)
        values = {
            role: [_text(path, row.get(name), role, name) for row in part]
            for role, name in taken.items()
        }
        frames.append(pl.DataFrame(values, schema=schema))
    return pl.concat(frames), taken, said + objects.said(count)


def _text(path: Path, value: Any, role: str, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        if value.isascii():
            return value
        whole = value.encode("utf-8", "replace").decode()
        if role in IDS and whole != value:
            raise InputError(
                f"{path}: '{repr(name[:40])[1:-1]}' holds {value[:40]!r}, which has half a "
                "character (a surrogate); correct it, as it cannot be an id"
            )
        return whole
    if isinstance(value, bool):
        return str(int(value))
    kind = "an object" if isinstance(value, dict) else "a list"
    raise InputError(
        f"{path}: '{repr(name[:40])[1:-1]}' holds {kind} where one value is needed; name another "
        "column, or take the value out of it first"
    )


class _Objects:
    """The objects of a file in turn, and how many lines were none."""

    def __init__(self, path: Path, stream: BufferedReader):
        self._path, self._stream = path, stream
        self._bad, self._first_bad = 0, (0, "")
        decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
        self._decode, self._decode_next = decoder.decode, decoder.raw_decode

    def said(self, good: int) -> list[str]:
        """A warning of bad lines; InputError where they are many."""
        if not self._bad:
            return []
        line, problem = self._first_bad
        lines = counted(self._bad, "line that is", "lines that are")
        what = f"{lines} no JSON object, the first is line {line} ({problem})"
        if self._bad * _MOST_BAD > good:
            raise InputError(f"{self._path}: has {what}; give an object in each line")
        done = worded(
            self._bad,
            "was left out; mend it if it matters",
            "were left out; mend them if they matter",
        )
        return [f"{self._path}: {what}, {done}"]

    def __iter__(self) -> Iterator[Object]:
        start = self._stream.peek(MAX_VALUE).removeprefix(codecs.BOM_UTF8).lstrip()
        return self._listed() if start.startswith(b"[") else self._lines()

    def _lines(self) -> Iterator[Object]:
        good = 0
        for number in itertools.count(1):
            line = self._stream.readline(MAX_VALUE + 1)
            if not line:
                return
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if len(line) > MAX_VALUE:
                raise InputError(
                    f"{self._path}: line {number} has more than {MAX_VALUE} bytes; give an object "
                    "a line"
                )
            if not line.strip():
                continue
            try:
                value, problem = self._decode(line.decode()), "it is something else"
            except (ValueError, RecursionError) as error:
                value, problem = None, _problem(error, line)
            if isinstance(value, dict):
                good += 1
                yield value
                continue
            self._first_bad = self._first_bad if self._bad else (number, problem)
            self._bad += 1
            if self._bad > 1000 and self._bad * _MOST_BAD > good:
                self.said(good)

    def _listed(self) -> Iterator[Object]:
        """The objects of one list, with no more than a few of them in memory."""
        decoder, end = codecs.getincrementaldecoder("utf-8-sig")(), False
        buffer, place, expected = "", 0, "["
        while True:
            try:
                if not end and len(buffer) - place < 2 * MAX_VALUE:
                    piece = self._stream.read(2 * MAX_VALUE)
                    end = not piece
                    buffer, place = buffer[place:] + decoder.decode(piece, end), 0
                place = _past_blanks(buffer, place)
                token = buffer[place : place + 1]
                if token == "]" and expected == ",":
                    return
                if token != expected:
                    raise ValueError(f"no {expected}")
                place = _past_blanks(buffer, place + 1)
                if expected == "[" and buffer[place : place + 1] == "]":
                    return
                value, place = self._decode_next(buffer, place)
            except (ValueError, RecursionError) as error:
                raise self._no_list() from error
            if not isinstance(value, dict):
                raise self._no_list()
            expected = ","
            yield value

    def _no_list(self) -> InputError:
        return InputError(
            f"{self._path}: is no list of JSON objects of at most {MAX_VALUE} bytes each; correct "
            "it, or give an object a line"
        )


def _past_blanks(text: str, place: int) -> int:
    """Where the blanks at a place end."""
    blanks = _BLANKS.match(text, place)
    return blanks.end() if blanks else place


def _problem(error: Exception, line: bytes) -> str:
    if isinstance(error, json.JSONDecodeError):
        hint = ", Python's quotes and no JSON" if line.lstrip()[:2] == b"{'" else ""
        return f"{error.msg} at character {error.pos + 1}{hint}"
    return "nested too deep" if isinstance(error, RecursionError) else "no UTF-8, or too long"
