"""Draws the model: writes docs/model-light.svg and docs/model-dark.svg.

python docs/diagram.py

The layout is by hand: every box and every arrow is one line below.
"""

from html import escape
from pathlib import Path
from typing import NamedTuple

WIDTH, HEIGHT, BOX_HEIGHT = 1000, 456, 78
FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
ALT = (
    "MMSSL: embeddings and item features go through views and propagation to final embeddings, "
    "which are trained by a BPR loss, a contrastive loss and a critic."
)

# Kind of box -> (fill, border); and the colours of text, arrows and notes.
THEMES = {
    "light": {
        "input": ("#f3f4f6", "#9ca3af"),
        "model": ("#e8f1fd", "#4a86d8"),
        "game": ("#fdf0e6", "#d9822b"),
        "loss": ("#e9f6ee", "#3f9c63"),
        "text": "#1f2328",
        "note": "#59636e",
        "arrow": "#6e7781",
    },
    "dark": {
        "input": ("#21262d", "#6e7681"),
        "model": ("#14273f", "#4a8fe0"),
        "game": ("#3a2613", "#d9822b"),
        "loss": ("#13301f", "#3fa868"),
        "text": "#e6edf3",
        "note": "#9da7b1",
        "arrow": "#8b949e",
    },
}


class Box(NamedTuple):
    """A box with a bold title and two lines; dashed where the part can be switched off."""

    kind: str
    column: int
    row: int
    title: str
    lines: tuple[str, str]
    dashed: bool = False


class Arrow(NamedTuple):
    """A line through points, with a head at the last one, and a label at a place."""

    points: tuple[tuple[int, int], ...]
    dashed: bool = False
    label: str = ""
    at: tuple[int, int] = (0, 0)


COLUMNS = ((20, 180), (260, 210), (560, 190), (810, 170))  # left edge, width
ROWS = (15, 125, 235, 360)  # top edge

BOXES = (
    Box("input", 0, 1, "Embeddings", ("one vector for each", "user and each item")),
    Box("input", 0, 2, "Item features", ("image, text, audio, …", "as many as there are")),
    Box("model", 1, 0, "ID views", ("embeddings, passed over", "each modality graph"), True),
    Box("model", 1, 1, "Propagation", ("some layers over the", "interaction graph")),
    Box("model", 1, 2, "Feature views", ("each modality projected,", "over the same graph")),
    Box("game", 1, 3, "Relation rows", ("a user's scores for items,", "one row a modality"), True),
    Box("model", 2, 1, "Final embeddings", ("score of a pair:", "user · item")),
    Box("game", 2, 2, "Real rows", ("training pairs, softened,", "and the final scores"), True),
    Box("game", 2, 3, "Critic", ("tells relation rows", "from real rows"), True),
    Box("loss", 3, 0, "Contrastive loss", ("a user's views agree", "with the final user"), True),
    Box("loss", 3, 1, "BPR loss", ("items of the user", "rank above others")),
    Box("loss", 3, 3, "Adversarial loss", ("relation rows should", "pass for real ones"), True),
)

ARROWS = (
    Arrow(((200, 164), (260, 164))),
    Arrow(((110, 125), (110, 54), (260, 54)), True),
    Arrow(((365, 93), (365, 125)), True, "fused, added with weight η", (375, 113)),
    Arrow(((470, 54), (810, 54)), True),
    Arrow(((470, 164), (560, 164))),
    Arrow(((655, 125), (655, 74), (810, 74)), True),
    Arrow(((750, 164), (810, 164))),
    Arrow(((200, 274), (260, 274))),
    Arrow(
        ((470, 274), (515, 274), (515, 184), (560, 184)), False, "added with weight ω", (386, 224)
    ),
    Arrow(((365, 313), (365, 360)), True),
    Arrow(((655, 203), (655, 235)), True),
    Arrow(((655, 313), (655, 360)), True),
    Arrow(((470, 399), (560, 399)), True),
    Arrow(((750, 399), (810, 399)), True),
)

LEGEND = ("Dashed: each can be", "switched off; all are off", "in configs/tiktok_mmssl.py")


def drawn_box(box: Box, theme: dict) -> str:
    """One box as SVG."""
    fill, border = theme[box.kind]
    dash = ' stroke-dasharray="6 4"' if box.dashed else ""
    (x, width), y = COLUMNS[box.column], ROWS[box.row]
    shape = (
        f'<rect x="{x}" y="{y}" width="{width}" height="{BOX_HEIGHT}" rx="8" fill="{fill}" '
        f'stroke="{border}" stroke-width="1.6"{dash}/>'
    )
    texts = [text(x + width / 2, y + 25, box.title, theme["text"], 16, weight=600)]
    for index, line in enumerate(box.lines):
        texts.append(text(x + width / 2, y + 46 + 18 * index, line, theme["note"], 14))
    return "\n".join([shape, *texts])


def drawn_arrow(arrow: Arrow, theme: dict) -> str:
    """One arrow as SVG."""
    dash = ' stroke-dasharray="6 4"' if arrow.dashed else ""
    points = " ".join(f"{x},{y}" for x, y in arrow.points)
    line = (
        f'<polyline points="{points}" fill="none" stroke="{theme["arrow"]}" stroke-width="1.6" '
        f'stroke-linejoin="round" marker-end="url(#head)"{dash}/>'
    )
    if not arrow.label:
        return line
    return f"{line}\n{text(*arrow.at, arrow.label, theme['note'], 13, anchor='start')}"


def text(
    x: float, y: float, line: str, colour: str, size: int, weight: int = 400, anchor: str = "middle"
) -> str:
    """One line of text as SVG."""
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{colour}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(line)}</text>'
    )


def drawing(theme: dict) -> str:
    """The whole picture as SVG."""
    head = (
        '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 1 L9 5 L0 9 z" fill="{theme["arrow"]}"/></marker>'
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="{FONT}">',
        f"<title>{escape(ALT)}</title>",
        f"<defs>{head}</defs>",
    ]
    parts += [drawn_arrow(arrow, theme) for arrow in ARROWS]
    parts += [drawn_box(box, theme) for box in BOXES]
    for index, line in enumerate(LEGEND):
        parts.append(text(20, 386 + 18 * index, line, theme["note"], 13, anchor="start"))
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    for name, theme in THEMES.items():
        Path(__file__).with_name(f"model-{name}.svg").write_text(drawing(theme), encoding="utf-8")
