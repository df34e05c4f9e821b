"""Hostile conditions, configs and requests, made by grammars."""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

Rng = np.random.Generator

_NAMES = ["category", "price", "title", "day", "tags", '"price"', "id", "nothing", '"a b"', "prix"]
_VALUES = [
    *("'toys'", "''", "'it''s'", "0", "1", "20.5", "1e3", "1e999", "9" * 400, ".5", "1.", "null"),
    *("true", "'2026-01-31'", "'" + "x" * 600 + "'", "'%" + "_%" * 300 + "'", "-1", "- 1", "1_0"),
    *("'\\'", "'\0'", "'\u202e'", "'\ud800'", "'é'", "0x10", "1e", "1..2", "'\x1b[2J'"),
]
_SIGNS = ["=", "==", "<>", "!=", "<", "<=", ">", ">=", "like", "ILIKE", "in", "is", "between"]
_GOOD = [
    *(
        "category = 'toys'",
        "price < 20.5",
        "title LIKE '%7'",
        "day > '1970-01-05'",
        "title is null",
    ),
    *(
        "array_contains(tags, 'a')",
        "lower(category) = 'toys'",
        "price between 1 and 20",
        "not true",
    ),
    *("category in ('toys', 'games')", '"price" >= 1e1', "starts_with(title, 'T')", "id <> 'B1'"),
]
# What no condition may have, in a form that polars' SQL would take: files, queries, code.
FORBIDDEN = [
    "read_csv('/etc/passwd')",
    "(select a from read_csv('/etc/passwd'))",
    "exists (select 1)",
    "id in (SELECT id FROM read_parquet('x'))",
    "columns('x')",
    "cast(price as int)",
    "price::int",
    "case when true then true end",
    "interval '1 day'",
    "unnest(tags)",
    "tags[1]",
    "price; drop table x",
    "price -- x",
    "price /* x */",
    "E'\\x41'",
    "x'41'",
    "$$x$$",
    "sqrt(price)",
    "repeat('x', 100000000)",
    "concat(title, title)",
    "price * 1e308",
    "title || title",
    "any (select 1)",
    "values (1)",
    "@x",
    "{price}",
    "`price`",
]


def condition(rng: Rng) -> tuple[str, bool]:
    """A text for --where, and whether it must be refused."""
    text = _clause(rng, int(rng.integers(4)))
    bad = False
    match rng.integers(9):
        case 0:
            depth = int(_pick(rng, [3, 40, 200, 400]))
            text = "(" * depth + text + ")" * int(_pick(rng, [depth, depth, 0]))
        case 1:
            text = "not " * int(_pick(rng, [1, 2, 60, 200])) + text
        case 2:
            joined = [_clause(rng, 0) for _ in range(rng.integers(1, 60))]
            text = _pick(rng, [" and ", " or ", ","]).join(joined)
        case 3 | 4:
            text, bad = f"{_pick(rng, ['', text + ' or '])}{_pick(rng, FORBIDDEN)}", True
        case 5:
            place = rng.integers(len(text) + 1)
            text = text[:place] + _pick(rng, _ODD_TEXTS) + text[place + rng.integers(9) :]
        case 6:
            text = _pick(rng, [text[: rng.integers(len(text) + 1)], text * 200, " " * 900, ""])
    return text, bad


def _clause(rng: Rng, depth: int) -> str:
    if depth:
        return (
            f"({_clause(rng, depth - 1)} {_pick(rng, ['and', 'OR', 'and not'])} {_clause(rng, 0)})"
        )
    if rng.integers(8):
        return _pick(rng, _GOOD)
    name, sign, value = (_pick(rng, part) for part in (_NAMES, _SIGNS, _VALUES))
    match rng.integers(6):
        case 0:
            return f"{name} {sign} {_pick(rng, _NAMES)}"
        case 1:
            function = _pick(rng, ["lower", "starts_with", "array_contains", "coalesce", "like"])
            return f"{function}({name}, {value})"
        case 2:
            return f"{name} in ({', '.join(_pick(rng, _VALUES) for _ in range(rng.integers(20)))})"
        case 3:
            return f"{name} between {value} and {_pick(rng, _VALUES)}"
    return f"{name} {sign} {value}"


_ODD_TEXTS = [
    *("'", '"', "(", ")", "--", "/*", ";", "\\", "\0", "\n", "\x1b[2J", "\ud800", "٣", "\u202e"),
    *(
        "''",
        '""',
        "%s",
        "{}",
        "::",
        "[",
        "]",
        "$1",
        "?",
        "\ufeff",
        "e'",
        "N'x'",
        "\uff41nd",
        "|",
        "+",
    ),
]

# Configs

_SECTIONS: dict[str, Any] = {
    "name": "mine",
    "data": {"path": ":demo:", "modalities": "image", "zeros_missing": True},
    "model": {"name": "hybrid", "embedding_dim": 8},
    "train": {"epochs": 3, "learning_rate": 1e-3, "fanout": [], "seed": 7},
    "evaluation": {"cutoffs": [5, 20]},
    "hybrid": {"content": [0.2, 1.0], "members": 2},
    "ease": {"l2": [1.0]},
}
_ODD_VALUES: list[Any] = [
    *(None, True, -1, 0, 3, 2**31, 2**63, 2**4000, 1.5, 1e308, float("nan"), float("inf")),
    *("", "x", "x" * 5000, "\x1b[2J", "../../x", "/etc", "a/b", ".", "..", "\u202e", "é", "\0"),
    *([], [1], ["x"], [[1]], [{}], {}, {"a": 1}, [1.0] * 5000, [float("nan")], "__import__('os')"),
]
_ODD_KEYS = [
    *("own", "__class__", "__dict__", "_frozen", "freeze", "flatten", "epochs", "nothing", ""),
    *("a.b", "\x1b[2J", "x" * 5000, "\uff54rain", "model", "name", "mro", "__init__", "self"),
]
_WHOLE = [
    b"[" * 60_000,
    b"x = " + b"[" * 30_000,
    b"{" * 60_000,
    b'{"a":' * 10_000,
    b"a." * 15_000 + b"a = 1",
    b"[" + b"a." * 15_000 + b"a]",
    b"[[a]]\n" * 9000,
    b"x = '''" + b"x" * 60_000,
    b"x = 1e99999999",
    b"x = " + b"9" * 60_000,
    b"x = 2026-01-01T00:00:00Z",
    b'x = "\\ud800"',
    b'{"name": "\\ud800"}',
    b'{"\\ud800": {"a": 1}}',
    b"\xff\xfe[\0d\0",
    b"\0" * 100,
    b"null",
    b"7",
    b'"x"',
    b"\x80\x04N.",
    b"import os\nos.system('true')\n",
    b" " * 200_000,
    b"",
    "\ufeff[train]\nepochs = 3\n".encode(),
]


def config(rng: Rng) -> tuple[str, bytes]:
    """The suffix and content of a config file."""
    suffix = _pick(rng, [".toml", ".json"])
    if not rng.integers(8):
        return suffix, _pick(rng, _WHOLE)
    sections = json.loads(json.dumps(_SECTIONS))
    for _ in range(rng.integers(3)):
        _change(rng, sections)
    text = json.dumps(sections) if suffix == ".json" else _toml(sections)
    content = text.encode(errors="surrogatepass")
    if not rng.integers(4):
        place = rng.integers(len(content) + 1)
        odd = _pick(
            rng, [rng.bytes(9), b"\0", b"\xff", b'"', b"=", b"[", b"]]", b"\n", b"'''", b"#"]
        )
        content = content[:place] + odd + content[place + rng.integers(20) :]
    return suffix, content


def _change(rng: Rng, sections: dict[str, Any]) -> None:
    name = _pick(rng, sorted(sections))
    value = _pick(rng, _ODD_VALUES)
    match rng.integers(5):
        case 0:
            sections[name] = value
        case 1:
            sections[_pick(rng, _ODD_KEYS)] = _pick(rng, [value, {"x": value}])
        case 2:
            sections["name"] = _pick(rng, ["x", value])
        case _:
            inside = sections[name]
            if isinstance(inside, dict):
                key = _pick(rng, [*sorted(inside), _pick(rng, _ODD_KEYS)])
                inside[key] = value


def _toml(sections: Mapping[str, Any]) -> str:
    """TOML, where the values of JSON are those of TOML as well."""
    plain = [f"{_key(name)} = {_value(v)}" for name, v in sections.items() if not _is_table(v)]
    for name, fields in sections.items():
        if _is_table(fields):
            plain += [f"[{_key(name)}]", *(f"{_key(k)} = {_value(v)}" for k, v in fields.items())]
    return "\n".join(plain) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


# Requests

_BODY = {"users": ["reader 7"], "top": 5, "exclude": ["B003"], "where": "category = 'toys'"}
_ODD_JSON: list[Any] = [
    *(None, True, 0, -1, 10.0, 501, 2**63, 10**400, 1.5, float("nan"), float("inf"), "", "x"),
    *("\ud800", "\x1b[2J", "x" * 2000, [], {}, [[]], ["reader 7"] * 201, ["x"] * 10_001),
    *([1] * 200_000, [""] * 100_000, ["reader 7", 7], {"a": {"b": {}}}, "B003", ["B003"] * 1001),
]
_ODD_BODIES = [
    *(
        b"",
        b"{",
        b"[" * 100_000,
        b'{"users":' * 50_000,
        b"\x80\x04\x95.",
        b"\xff\xfe{\0}\0",
        b"nul",
    ),
    *(b'{"users": ["reader 7"], "top": 1e999}', b'{"users": ["reader 7"], "top": NaN}'),
    *(b'{"users": ["reader 7"], "users": ["x"]}', b'{"top": ' + b"9" * 9000 + b"}", b" " * 9000),
    *(b'{"users": ["reader 7"]}' + b"}" * 99, b'"' + b"\\ud800" * 9000 + b'"', b"0" * 9000),
    b"{" + b",".join(b'"k%d":1' % number for number in range(60_000)) + b"}",
    b'{"users":["reader 7"],"only":[' + b"0," * 400_000 + b"0]}",
    b'{"users":["reader 7"],"\\ud800":1}',
    b'{"users":["reader 7"],"a\\nb":1}',
    b'{"users":["reader 7"],"' + b"k" * 900_000 + b'":1}',
]
_PATHS = [
    *("/recommend", "/recommend", "/recommend", "/similar", "/health", "/metrics", "/openapi.json"),
    *("/docs", "/docs/../etc", "/static-offline-docs/../app.py", "/static-offline-docs/%2e%2e/x"),
    *(
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/recommend/",
        "/RECOMMEND",
        "/\0",
        "/%ff",
        "/é",
    ),
    *("/.env", "/docs/oauth2-redirect", "/x" * 3000, "http://evil/health", "*", ""),
]
_QUERIES = [
    *(
        b"",
        b"user=reader%207",
        b"user=reader+7&top=5",
        b"item=B003",
        b"user=%ff",
        b"user=",
        b"top=5",
    ),
    *(
        b"user=reader+7&top=" + value
        for value in (b"0", b"-1", b"1e3", b"NaN", b"9" * 5000, b"%00")
    ),
    *(b"user=" + b"x" * 5000, b"user=a&user=b", b"&" * 5000, b"=" * 5000, b"user[]=x", b"%"),
    *(
        b"user=\x1b",
        b"item=%ed%a0%80",
        b"user=reader%207&" + b"&".join(b"a%d=1" % i for i in range(3000)),
    ),
]
_METHODS = [*["POST"] * 8, *["GET"] * 6, "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "X"]
_TYPES = [
    *[b"application/json"] * 9,
    *(b"", b"text/plain", b"multipart/form-data", b"application/x-www-form-urlencoded", b"\xff"),
    *(b"application/json; charset=utf-16", b"application/json; charset=x", b"image/png"),
]


def request(rng: Rng) -> tuple[str, str, bytes, list[tuple[bytes, bytes]], bytes]:
    """Method, path, query, head and body of a request."""
    path, body = _pick(rng, _PATHS), b""
    method = _pick(rng, _METHODS)
    if method != "GET" or not rng.integers(9):
        body = _body(rng)
        path = _pick(rng, ["/recommend", "/recommend", "/recommend", path])
    head = [(b"host", b"127.0.0.1:8000"), (b"content-type", _pick(rng, _TYPES))]
    if not rng.integers(5):
        length = _pick(rng, [b"0", b"-1", b"7", b"9" * 40, b"x", b"1048577", b"\xb2"])
        head.append((b"content-length", length))
    if not rng.integers(9):
        odd = [(b"host", b"evil.example"), (b"host", b"[::1"), (b"origin", b"http://evil.example")]
        head.append(_pick(rng, [*odd, (b"x" * 900, b"\xff" * 900), (b"cookie", b"a=" * 900)]))
    return method, path, _pick(rng, _QUERIES), head, body


def _body(rng: Rng) -> bytes:
    if not rng.integers(5):
        return _pick(rng, _ODD_BODIES)
    body: dict[str, Any] = dict(_BODY)
    for _ in range(rng.integers(3)):
        key = _pick(rng, [*sorted(_BODY), "history", "only", "exclude_known", "sql", "\ud800"])
        body[key] = _pick(rng, _ODD_JSON)
    if not rng.integers(5):
        body["where"] = condition(rng)[0]
    content = json.dumps(body).encode()
    if not rng.integers(6):
        place = rng.integers(len(content))
        content = content[:place] + rng.bytes(rng.integers(5)) + content[place + rng.integers(9) :]
    return content


def _pick(rng: Rng, values: Any) -> Any:
    return values[rng.integers(len(values))]
