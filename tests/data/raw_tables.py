"""Reading small raw tables, and what is said of those that are refused."""

import pytest

from mmssl_jax.data.tables import interactions, likes, parquet_trial
from mmssl_jax.errors import InputError

IDS = {"user": None, "item": None}


def read(path, content=None, columns=(), **options):
    """Reads a table, of `content` if that is given, without a k-core."""
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    asked = IDS | (dict.fromkeys(columns) if isinstance(columns, tuple) else columns)
    rules = interactions.Rules(
        likes.Rule(
            *(options.pop(name, likes.Rule._field_defaults[name]) for name in likes.Rule._fields)
        ),
        **{name: options.pop(name) for name in ("null_ids", "id_spelling") if name in options},
    )
    return interactions.read(path, asked, rules=rules, **{"k_core": 0} | options)


def pairs(table):
    """The pairs by their raw ids, in the order in which they are."""
    return [
        (table.user_ids[user], table.item_ids[item])
        for user, item in zip(table.users, table.items, strict=True)
    ]


def refusal(path, content=None, columns=(), **options):
    with pytest.raises(InputError) as caught:
        read(path, content, columns, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < 1000
    return message


def no_trial(patch):
    """Reads Parquet that is not damaged in this process alone, which is faster."""
    patch.setattr(parquet_trial, "survive", lambda *_: None)
