"""Runs of the uneven world, each trained once for all tests of this room, which change none."""

import os
from collections.abc import Callable
from pathlib import Path

import jax
import polars as pl
import pytest
from filelock import FileLock
from uneven import ITEM_IDS, MODELS, catalogue, uneven_world
from worlds import ITEMS, Place

from mmssl_jax.data import Dataset


@pytest.fixture(autouse=True, scope="module")
def _compile_fast():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory) -> Callable[[str, str, Callable[[], Dataset]], Place]:
    """(name of a world, model, the world) -> a run; pytest's workers share it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def of(name: str, model: str, world: Callable[[], Dataset]) -> Place:
        folder = base / f"{name}-{model}"
        with FileLock(f"{folder}.lock"):
            if (folder / "trained").exists():
                return Place.opened(folder)
            folder.mkdir(exist_ok=True)
            place = Place(folder, world())
            _write_attributes(place.data)
            flags = ("--config.train.epochs=1", *MODELS.get(model, ()))
            place.train(f"--config.model.name={model}", *flags)
            (folder / "trained").touch()
        return place

    return of


@pytest.fixture(scope="session")
def places(trained_once) -> Callable[[str], Place]:
    """model -> a run of it on the uneven world, with a table of items."""
    return lambda model: trained_once("uneven", model, uneven_world)


@pytest.fixture(scope="session")
def catalogued(trained_once) -> Callable[[str], Place]:
    """model -> a run of it on the catalogue."""
    return lambda model: trained_once("catalogue", model, catalogue)


def _write_attributes(data: Path) -> None:
    pl.DataFrame(
        {
            "id": ITEM_IDS,
            "category": [("toys", "books", "games")[item % 3] for item in range(ITEMS)],
            "price": [item / 2 for item in range(ITEMS)],
        }
    ).write_parquet(data / "items.parquet")
