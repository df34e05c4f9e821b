"""How the package is laid out: short modules and functions, and imports that go down its floors."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "mmssl_jax"
MOST_AT_ROOT, MOST_LINES, MOST_OF_A_FUNCTION = 4, 250, 50
# From the top. A room imports from lower floors alone: not even from its neighbours.
FLOORS = (
    {"commands", "api"},
    {"reporting"},
    {"studies", "serving", "augmentation", "planning"},
    {"training"},
    {"models", "ranking", "runs"},
    {"adversarial"},
    {"graphs"},
    {"data"},
    {"files"},
    {"config"},
    {"errors"},
)
# What is still to be mended; what is mended must leave the list.
KNOWN: set[str] = set()


def modules() -> dict[str, ast.Module]:
    """Every module by its dotted name; a package's is that of its __init__."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text("utf-8"))
    return found


MODULES = modules()


def imports(name: str) -> Iterator[str]:
    """The modules of the package that a module imports anywhere, also inside functions.

    The root itself is left out: it has the version, and is there before any other.
    """
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            asked = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: imports by a relative name"
            parent = node.module or ""
            asked = [f"{parent}.{alias.name}" for alias in node.names]
            asked = [one if one in MODULES else parent for one in asked]
        else:
            continue
        yield from (one for one in asked if one.startswith(f"{PACKAGE.name}."))


def floor(name: str) -> int:
    """How high a module is; what starts the commands from the root is above all."""
    room = name.split(".")[1] if "." in name else ""
    return next((-place for place, rooms in enumerate(FLOORS) if room in rooms), 1)


def upward() -> Iterator[str]:
    for name in MODULES:
        for other in imports(name):
            same_room = name.split(".")[1:2] == other.split(".")[1:2]
            if not same_room and floor(other) >= floor(name):
                yield f"{name} imports {other}"


def long_modules() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if len(path.read_text("utf-8").splitlines()) > MOST_LINES:
            yield f"{path.relative_to(PACKAGE.parent).as_posix()} is long"


def long_functions() -> Iterator[str]:
    """Those that are too long with their decorators, signature, docstring and comments."""
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                if node.end_lineno - first >= MOST_OF_A_FUNCTION:
                    yield f"{name}.{node.name} is long"


def test_modules_and_functions_are_short_and_imports_go_down():
    found = {*upward(), *long_modules(), *long_functions()}
    assert not found - KNOWN
    assert not KNOWN - found, "mended: to be taken from the list"


def test_every_room_has_a_floor():
    rooms = {name.split(".")[1] for name in MODULES if "." in name} - {"__main__"}
    assert rooms == set().union(*FLOORS)


def test_few_modules_are_at_the_root():
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_AT_ROOT


def test_no_circle_of_imports():
    graph = {name: set(imports(name)) - {name} for name in MODULES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, with the circle
