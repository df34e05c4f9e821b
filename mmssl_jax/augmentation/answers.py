"""What a language model may answer: anything else is refused, with the reason."""

import itertools
import json
import re
from collections.abc import Sequence
from typing import Any

_LONGEST = 20_000  # characters of an answer: none needs so many
_PROFILE, _ATTRIBUTE, _WORDS = 2000, 200, 12
_BRACES = 20  # at which an object is looked for
_NOTHING = {"", "unknown", "none", "null", "n/a", "na", "not known", "not available", "unspecified"}


class Refused(ValueError):
    """An answer that cannot be used; the text is the reason, the same for all of a kind."""


def pair(candidates: Sequence[int], text: str) -> tuple[int, int]:
    """The liked and the disliked item, of the candidates and not the same."""
    given = _object(text)
    liked, disliked = (_number(given.get(name)) for name in ("like", "dislike"))
    if not (1 <= liked <= len(candidates) and 1 <= disliked <= len(candidates)):
        raise Refused("names no candidate")
    if liked == disliked:
        raise Refused("likes and dislikes one item")
    return candidates[liked - 1], candidates[disliked - 1]


def profile(text: str) -> str:
    """A profile on one line: what is liked, what is not, and a summary."""
    given = _object(text)
    parts = []
    for name in ("likes", "dislikes"):
        listed = given.get(name)
        words = [_words(each) for each in (listed if isinstance(listed, list) else [listed])]
        if words := [each for each in words if each][:_WORDS]:
            parts.append(f"{name} {', '.join(words)}")
    parts.append(_words(given.get("summary")))
    found = ". ".join(part.rstrip(".") for part in parts if part)
    if not found:
        raise Refused("says nothing")
    if len(found) > _PROFILE:
        raise Refused("is too long")
    return found


def attributes(names: Sequence[str], text: str) -> dict[str, str]:
    """The attributes by name, '' for what is not known; one of them is."""
    given = _object(text)
    found = {}
    for name in names:
        value = given.get(name)
        listed = value if isinstance(value, list) else [value]
        found[name] = ", ".join(filter(None, map(_words, listed)))
        if len(found[name]) > _ATTRIBUTE:
            raise Refused("is too long")
    if not any(found.values()):
        raise Refused("says nothing")
    return found


def _object(text: str) -> dict[str, Any]:
    """The first JSON object in an answer, which may have fences or words around it."""
    if len(text) > _LONGEST:
        raise Refused("is too long")
    for match in itertools.islice(re.finditer(r"\{", text), _BRACES):
        try:
            given, _ = json.JSONDecoder().raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(given, dict):
            return given
    raise Refused("is no JSON object")


def _number(value: Any) -> int:
    """A candidate's number, 0 where it is none; '[3]' and '3' are 3."""
    if isinstance(value, str):
        digits = value.strip().strip("[]")
        return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 9 else 0
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _words(value: Any) -> str:
    """Text on one line; '' for what is none, or says that nothing is known."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    plain = "".join(character if character.isprintable() else " " for character in str(value))
    words = " ".join(plain.split())
    return "" if words.lower().rstrip(".") in _NOTHING else words
