"""Which column of a table is which: by the names that people use, or by the one asked for."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl

from mmssl_jax.errors import InputError

IF_THERE = ""  # asked for a role: its column is guessed, and may be missing
SPLIT = "split"  # the role for which None means that too

# What a column goes by, the likeliest first, in lower case and without '_', '-' and spaces.
# parent_asin is the product, asin may be one of its sizes or colours.
NAMES = {
    "user": ("userid", "user", "uid", "reviewerid", "customerid", "visitorid"),
    "item": (
        *("itemid", "item", "iid", "parentasin", "asin", "movieid", "productid", "businessid"),
        *("bookid", "isbn", "songid", "trackid", "artistid", "gameid", "newsid", "videoid"),
        "recipeid",
    ),
    "time": (
        *("timestamp", "time", "unixreviewtime", "unixtime", "datetime", "date", "eventtime"),
        *("eventdate", "eventtimestamp", "createdat", "createdate", "createddate", "createdtime"),
        *("createtime", "creationdate", "orderdate", "ordertime", "orderedat", "purchasedate"),
        *("purchasetime", "purchasedat", "transactiondate", "transactiontime", "invoicedate"),
        *("reviewtime", "reviewdate", "ratingtime", "ratingdate", "ratedat", "clicktime"),
        *("watchedat", "playedat", "viewedat", "visitedat"),
    ),
    "rating": (
        *("rating", "overall", "stars", "score", "rate", "label", "like", "liked", "islike"),
        *("isclick", "click", "clicked", "quantity", "playcount", "plays"),
    ),
    "event": (
        *("eventtype", "event", "eventname", "behaviortype", "behavior", "behaviourtype"),
        *("behaviour", "actiontype", "action", "interactiontype", "interaction", "type"),
    ),
    "rank": ("rank", "ranking", "position"),
    "score": ("score", "prediction", "predicted", "pred", "similarity", "relevance"),
    "split": ("split", "xlabel", "subset", "partition", "fold", "set", "usage"),
    "title": (
        *("itemtitle", "movietitle", "producttitle", "booktitle", "songtitle", "gametitle"),
        *("title", "itemname", "moviename", "productname", "trackname", "songname", "name"),
    ),
}
# Columns that may name the same thing: to be said, not to be guessed.
_BESIDE = {
    "user": ("username", "memberid", "sessionid"),
    "item": (
        *("productparent", "parentid", "parentitemid", "parentproductid", "itemparentid"),
        *("variantid", "productvariantid", "sku", "skuid", "itemname", "productgroupid"),
    ),
}
_COMPANIONS = {"username": ("userid", "uid"), "itemname": ("itemid", "iid", "productid")}
# What else may be the rating: names with these words, such as Book-Rating, and then others, which
# show no header, as the events of a table without one may be called so.
_RATING = re.compile(r"rating|score")
_NO_RATING = re.compile(r"time|date|count|number|num|id$|average|avg|mean|text|underscore")
_LIKE_RATINGS = (
    *("bought", "isbought", "purchased", "ispurchased", "watched", "watchratio", "preference"),
    *("implicit", "target", "feedback", "response", "value", "vote", "votes"),
)
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_MOST = 0.9  # of the lines of a sample


def listed(names: Sequence[str]) -> str:
    """Names from a file, as short and as safe to print as they need to be."""
    shown = ", ".join(repr(name[:40]) for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def numbered(values: Mapping[int, str]) -> str:
    """The values of a line by the numbers of their columns, as `listed`."""
    shown = ", ".join(f"{place} = {value[:40]!r}" for place, value in list(values.items())[:12])
    return shown + (f" and {len(values) - 12} more" if len(values) > 12 else "")


def take(
    path: Path,
    names: Sequence[str],
    columns: Mapping[str, str | None],
    hint: str,
    fits: Callable[[str, str], bool] = lambda role, name: True,
) -> tuple[dict[str, str], list[str]]:
    """The column of each role that `columns` asks for, and what to say of the guesses.

    A name may be given in any case, and with or without RecBole's type (user_id:token). None asks
    for a guess, `IF_THERE` for one that may find nothing, or nothing that `fits` the role. `hint`
    ends the error of a missing one.

    Raises:
      InputError: there is no such column, or there are two, or one is taken twice.
    """
    columns = _with_split(columns)
    taken = {}
    for role, asked in columns.items():
        name = _asked(path, names, role, asked, hint) if asked else _guessed(names, role)
        if name is None and asked is None:
            order = ", or --time-order rows where the rows are in order" if role == "time" else ""
            raise InputError(
                f"{path}: has no column that looks like the {role}; give --{role}-column, one of "
                f"{listed(names)}{order}{hint}"
            )
        if name is not None:
            taken[role] = name
    for role in [role for role, asked in columns.items() if asked == IF_THERE and role in taken]:
        if list(taken.values()).count(taken[role]) > 1 or not fits(role, taken[role]):
            del taken[role]
    _check_once(path, taken)
    sought = {role: name for role, name in taken.items() if columns[role] != IF_THERE}
    notes = [_note(path, names, role, sought) for role in _BESIDE if columns.get(role) is None]
    return taken, [note for note in notes if note]


def take_by_number(
    path: Path, names: Sequence[str], columns: Mapping[str, str | None], first: Sequence[str]
) -> dict[str, str]:
    """As `take`, of a table without a header, whose columns `names` are 1, 2, ...

    Raises InputError as well where its `first` line names the columns of user and item.
    """
    taken = {}
    for role, asked in _with_split(columns).items():
        if asked == IF_THERE:
            continue
        if asked is None or not asked.isdecimal() or not 1 <= int(asked) <= len(names):
            raise InputError(
                f"{path}: has {len(names)} columns without names; give --{role}-column as a number "
                f"from 1 to {len(names)}"
            )
        taken[role] = names[int(asked) - 1]
    _check_once(path, taken)
    if all(
        plain_name(first[int(taken[role]) - 1]) in NAMES[role]
        for role in ("user", "item")
        if role in taken
    ):
        raise InputError(
            f"{path}: its first line names the columns ({listed(first)}); leave out --no-header, "
            "and give columns by name"
        )
    return taken


def check_header(path: Path, names: Sequence[str], rows: pl.DataFrame) -> None:
    """Raises InputError where the first line looks like data, and not like the names of columns.

    `rows` are some of the lines after it, all text.
    """
    if any(plain_name(name) in known for name in names for known in NAMES.values()):
        return
    if [name.strip() for name in names] == [str(place) for place in range(len(names))]:
        return  # as pandas numbers columns
    columns = [rows[name].drop_nulls().to_list() for name in rows.columns]
    names = [re.sub(r"_duplicated_\d+$", "", name) for name in names]  # as polars calls the second
    numbers = [
        _NUMBER.fullmatch(name) and _most([bool(_NUMBER.fullmatch(value)) for value in values])
        for name, values in zip(names, columns, strict=True)
    ]
    shapes = [shape_of(name) for name in names]
    alike = [
        _most([shape_of(value) == known for value in values])
        for known, values in zip(shapes, columns, strict=True)
    ]
    digits = any(re.search(r"\d", name) for name in names)
    if any(numbers) or (digits and all(alike)):
        raise InputError(
            f"{path}: its first line looks like data, not like the names of columns; if it is, "
            "add --no-header --user-column N --item-column N, with the numbers of the columns: "
            f"{numbered(dict(enumerate(names, start=1)))}"
        )


def _with_split(columns: Mapping[str, str | None]) -> dict[str, str | None]:
    return {role: asked or IF_THERE if role == SPLIT else asked for role, asked in columns.items()}


def _asked(path: Path, names: Sequence[str], role: str, asked: str, hint: str) -> str:
    found = meant(names, asked)
    if len(found) > 1:
        raise InputError(
            f"{path}: --{role}-column {listed([asked])} may be any of {listed(found)}; give "
            "the name as it is there"
        )
    if found:
        return found[0]
    by_number = "; columns go by number with --no-header alone" if asked.isdecimal() else hint
    raise InputError(
        f"{path}: has no column {listed([asked])}; give --{role}-column, one of "
        f"{listed(names)}{by_number}"
    )


def meant(names: Sequence[str], asked: str) -> list[str]:
    """Which of `names` may be `asked`: itself, else in any case, else without RecBole's types."""
    for form in (str, lambda name: name.strip().casefold(), _untyped):
        if found := [name for name in names if form(name) == form(asked)]:
            return found
    return []


def _guessed(names: Sequence[str], role: str) -> str | None:
    plain = {plain_name(name): name for name in reversed(names)}
    known = list(NAMES[role])
    if role == "rating":
        rated = [name for name in plain if _RATING.search(name) and not _NO_RATING.search(name)]
        known += [*reversed(rated), *_LIKE_RATINGS]
    return next((plain[name] for name in known if name in plain), None)


def _check_once(path: Path, taken: Mapping[str, str]) -> None:
    if len(set(taken.values())) < len(taken):
        raise InputError(f"{path}: a column is asked for twice: {listed(list(taken.values()))}")


def _note(path: Path, names: Sequence[str], role: str, taken: Mapping[str, str]) -> str | None:
    """Says which columns were passed over for a guess."""
    if role not in taken:
        return None
    known = {*NAMES[role], *_BESIDE[role]}
    # A user_name beside a user_id is no other id.
    known -= {name for name, ids in _COMPANIONS.items() if plain_name(taken[role]) in ids}
    others = [name for name in names if name not in taken.values() and plain_name(name) in known]
    if not others:
        return None
    return (
        f"{path}: column {listed([taken[role]])} is taken for the {role}, though there is "
        f"{listed(others)} as well; --{role}-column takes another"
    )


def _untyped(name: str) -> str:
    """Without the type that RecBole writes after a colon, as in user_id:token, and case."""
    return name.partition(":")[0].strip().casefold()


def plain_name(name: str) -> str:
    """A name as in `NAMES`."""
    return re.sub(r"[_\-\s]", "", _untyped(name))


def shape_of(value: str) -> str:
    """u12 and u7 have the same, u9; and so have all words."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", value))


def _most(holds: Sequence[bool]) -> bool:
    return sum(holds) / max(len(holds), 1) >= _MOST
