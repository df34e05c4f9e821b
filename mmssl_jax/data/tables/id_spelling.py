"""One id written in several ways: 12 and 12.0, blanks at the ends, composed and decomposed accents.

They are made one, or kept apart; what only looks alike (case, leading zeros, invisible characters)
is never made one. Words that programs write where there is no id count as none.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from mmssl_jax.data.checks.wording import counted, worded
from mmssl_jax.data.tables import coded
from mmssl_jax.data.tables.coded import Rows
from mmssl_jax.data.tables.column_names import listed

JOIN, KEEP, DROP = "join", "keep", "drop"
NO_VALUE = r"(?i)^(nan|none|null|\(null\)|undefined|na|n/a|<na>|#n/a|#na|nat|\\n)$"
_BLANKS = " \t\r\n\f\v"  # others, such as those that do not break, may be meant
_EXACT = 1 << 53  # whole numbers up to here are exact as floats


def clean(
    path: Path, rows: Rows, taken: dict[str, str], null_ids: str, spelling: str
) -> tuple[Rows, list[str]]:
    """The rows with ids, spelt as `spelling` has it, and what is to be said of it.

    Args:
      path: named in what is said.
      rows: those that have a user and an item.
      taken: the columns' own names.
      null_ids: whether to `DROP` or `KEEP` rows with ids such as nan, None, null.
      spelling: whether to `JOIN` or `KEEP` ids in different spellings.
    """
    said: list[str] = []
    for role in ("user", "item"):
        rows = _without_null_words(path, rows, role, taken[role], null_ids, said)
        rows = coded.in_use(rows, role)
        spelt = _spelt(path, rows.texts[role], taken[role], spelling, said)
        rows = rows if spelt is rows.texts[role] else coded.respelt(rows, role, spelt)
    return rows, said


def spell(ids: pl.Series) -> pl.Series:
    """The one spelling of each id.

    Blanks at the ends go, accents are composed (NFC), and whole numbers lose the .0 that floats
    have, unless other ids of the series are numbers with another fraction, such as versions. 1.2e1
    becomes 12 where all ids are numbers.
    """
    ids = ids.str.strip_chars(_BLANKS).str.normalize("NFC")
    if ids.str.contains(r"^-?\d+\.\d*[1-9]\d*$").any():
        return ids
    ids = ids.str.replace(r"^(0|-?[1-9]\d{0,15})\.0*$", "${1}")
    powers = ids.str.contains(r"^-?\d(\.\d+)?[eE]\+?\d+$")
    if powers.any() and ids.str.contains(r"^-?\d+$|^-?\d(\.\d+)?[eE]\+?\d+$").all():
        numbers = ids.cast(pl.Float64, strict=False)
        exact = powers & (numbers.abs() <= _EXACT) & (numbers.floor() == numbers)
        whole = numbers.set(~exact, None).cast(pl.Int64).cast(pl.String)
        ids = whole.fill_null(ids)
    return ids


def places(ids: Sequence[str], wanted: Sequence[str], spelling: str = JOIN) -> np.ndarray:
    """The place in `ids` of each of the `wanted`, int64 [n], -1 where it is not there.

    As it is spelt or, with `JOIN`, in the one other spelling that `ids` has of it.
    """
    own = {raw_id: place for place, raw_id in enumerate(ids)}
    found = np.array([own.get(raw_id, -1) for raw_id in wanted], np.int64)
    if spelling == KEEP or (found >= 0).all():
        return found
    both = spell(pl.Series([*ids, *wanted], dtype=pl.String)).to_list()
    alike: dict[str, int] = {}
    for place, raw_id in enumerate(both[: len(ids)]):
        alike[raw_id] = place if raw_id not in alike else -1  # which of them cannot be known
    other = [alike.get(raw_id, -1) for raw_id in both[len(ids) :]]
    return np.where(found >= 0, found, other)


def said_of_matches(
    path: Path, ids: Sequence[str], wanted: Sequence[str], found: np.ndarray
) -> list[str]:
    """A warning, if any, of what `places` found in another spelling; `path` has the `ids`."""
    other = [
        (raw_id, ids[place])
        for raw_id, place in zip(wanted, found, strict=True)
        if place >= 0 and raw_id != ids[place]
    ]
    if not other:
        return []
    return [
        f"{path}: spells {counted(len(other), 'item')} in another way, such as "
        f"{listed([other[0][1]])} for {listed([other[0][0]])}; "
        f"{worded(len(other), 'it was', 'they were')} taken as the same"
    ]


def _without_null_words(
    path: Path, rows: Rows, role: str, name: str, null_ids: str, said: list[str]
) -> Rows:
    texts, counts = rows.texts[role], coded.counts(rows, role)
    words = texts.str.strip_chars().str.contains(NO_VALUE) & pl.Series(counts > 0)
    if not words.any():
        return rows
    found = texts.filter(words).to_list()
    having = int(counts[words.to_numpy()].sum())
    are_kept = worded(having, "it is kept", "they are kept")
    done = worded(having, "it was left out", "they were left out") if null_ids == DROP else are_kept
    other = KEEP if null_ids == DROP else DROP
    if having == len(rows.frame):
        done, null_ids = f"{are_kept}, as there is nothing else", KEEP
    said.append(
        f"{path}: {counted(having, 'row has', 'rows have')} {listed(found)} in column "
        f"{listed([name])}, as programs write it where there is no id; {done} (--null-ids "
        f"{other}: otherwise)"
    )
    if null_ids == KEEP:
        return rows
    return rows._replace(frame=rows.frame.filter(~words.gather(rows.frame[role])))


def _spelt(path: Path, distinct: pl.Series, name: str, spelling: str, said: list[str]) -> pl.Series:
    """The ids as they are to be, with what is said of those that are spelt in several ways."""
    spelt, ids = spell(distinct), distinct
    differs = distinct != spelt
    if differs.any():
        joined = len(distinct) - spelt.n_unique()
        several = differs & (~spelt.is_unique() if joined else True)
        example = f"{listed([distinct.filter(several)[0]])} as {listed([spelt.filter(several)[0]])}"
        column = f"of column {listed([name])}"
        if spelling == JOIN:
            ids = spelt
            anew = counted(int(differs.sum()), f"id {column} is", f"ids {column} are")
            said.append(
                f"{path}: {anew} spelt anew, such as {example}, which makes "
                f"{joined} of them the same as others; --id-spelling {KEEP} leaves them"
            )
            distinct = spelt.unique().sort()
        elif joined:
            others = counted(joined, f"id {column} is another", f"ids {column} are others")
            said.append(
                f"{path}: {others} in another spelling, such as {example}, and kept apart; "
                f"--id-spelling {JOIN} makes them one"
            )
    _say_lookalikes(path, distinct, name, said)
    return ids


def _say_lookalikes(path: Path, distinct: pl.Series, name: str, said: list[str]) -> None:
    """Says how many ids are the same but for case, leading zeros or invisible characters."""
    plain = spell(distinct)
    folded = plain.str.to_lowercase().str.normalize("NFKC").str.replace_all(r"\p{Cf}", "")
    folded = folded.str.replace_all(r"\s+", " ").str.strip_chars()
    folded = folded.str.replace(r"^(-?)0+(\d)", "${1}${2}")
    known = plain.n_unique()
    if alike := known - folded.n_unique():
        each = plain.is_first_distinct()  # one spelling of those that are kept apart
        distinct, folded = distinct.filter(each), folded.filter(each)
        first = folded.filter(folded.is_duplicated())[0]
        shown = distinct.filter(folded == first).to_list()[:2]
        column = f"of column {listed([name])}"
        said.append(
            f"{path}: {counted(alike, f'id {column} differs', f'ids {column} differ')} from "
            "another in case, leading zeros or invisible characters alone, such as "
            f"{listed(shown)}; they are kept apart"
        )
