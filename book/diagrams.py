"""Draw the flowcharts of the notebooks as pictures that take the page's colours and fit its width.

The notebooks say them in Mermaid's language, which JupyterLab draws by itself. A page of the book gets two drawings of
each: from left to right where there is room, from top to bottom on a phone. No script is needed for either.

Nodes stand in ranks, each a step further from the start. Edges between neighbours are straight, all others run around
the outside. An edge's label is written once where several edges of one node share it.
"""

from __future__ import annotations

import html
import re
import textwrap
from dataclasses import dataclass, field
from itertools import count

NODE = re.compile(
    r"(?P<name>\w+)\s*(?:\(\[(?P<stadium>.+?)\]\)|\[\((?P<store>.+?)\)\]|\{(?P<choice>.+?)\}|\[(?P<box>.+?)\])?"
)
LINK = re.compile(
    r"--\s*(?P<said>[^->|][^>|]*?)\s*-->|-\.\s*(?P<hinted>[^>|]+?)\s*\.->|(?:-->|-\.->)(?:\|(?P<barred>[^|]+)\|)?"
)
FONT, SMALL = 15, 13
LETTER = 0.56  # the width of a letter, as a share of its height
ids = count(1)


@dataclass
class Node:
    """A box: its words, its kind, and where its middle is."""

    words: list[str]
    kind: str
    x: float = 0
    y: float = 0
    rank: int = 0

    @property
    def width(self) -> float:
        """How wide the box is."""
        return max(len(line) for line in self.words) * FONT * LETTER + 26

    @property
    def height(self) -> float:
        """How high the box is."""
        return len(self.words) * 19 + 20


@dataclass
class Edge:
    """An arrow from one node to another, by their names."""

    source: str
    target: str
    label: str
    dotted: bool


@dataclass
class Chart:
    """What a flowchart says: nodes by name, edges, and groups of nodes with a title."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)


def unquoted(text: str) -> str:
    """Return a label without the quotes around it."""
    return text.strip().strip('"')


def parsed(source: str) -> Chart:
    """Read a flowchart.

    Raises
    ------
    ValueError
        If a line is of no form that is known here.
    """
    head, *lines = [line.strip() for line in source.strip().splitlines() if line.strip()]
    if not re.fullmatch(r"(flowchart|graph) (LR|TD|TB)", head):
        raise ValueError(f"only flowcharts are drawn, and this is none: {head!r}")
    chart, group = Chart(), None
    for line in lines:
        if found := re.fullmatch(r"subgraph \w+ ?\[(.+)\]", line):
            group = chart.groups.setdefault(unquoted(found[1]), [])
        elif line == "end":
            group = None
        else:
            read_line(line, chart, group)
    return chart


def read_line(line: str, chart: Chart, group: list[str] | None) -> None:
    """Read one line: sets of nodes, joined by ``&``, with links between them."""
    before: list[str] = []
    link, rest = None, line
    while rest:
        names = []
        while found := NODE.match(rest):
            name = found["name"]
            kind, text = next(((k, found[k]) for k in ("stadium", "store", "choice", "box") if found[k]), ("box", name))
            if name not in chart.nodes or text != name:
                chart.nodes[name] = Node(textwrap.wrap(unquoted(text), 17), kind)
            if group is not None and name not in group:
                group.append(name)
            names.append(name)
            rest = rest[found.end() :].lstrip()
            if not rest.startswith("&"):
                break
            rest = rest[1:].lstrip()
        if link is not None:
            label = unquoted(link["said"] or link["hinted"] or link["barred"] or "")
            dotted = link[0].startswith("-.")
            chart.edges += [Edge(a, b, label, dotted) for a in before for b in names]
        before, link = names, LINK.match(rest)
        if (rest and link is None) or not names:
            raise ValueError(f"this line of a flowchart cannot be read: {line!r}")
        rest = rest[link.end() :].lstrip() if link else ""


def ranks(chart: Chart, names: list[str]) -> list[list[str]]:
    """Return the nodes by their distance from the start; edges that lead back do not count."""
    rank = dict.fromkeys(names, 0)
    order = {name: i for i, name in enumerate(names)}
    for name in names:
        for edge in chart.edges:
            if edge.source == name and edge.target in order and order[edge.target] > order[name]:
                rank[edge.target] = max(rank[edge.target], rank[name] + 1)
    return [[name for name in names if rank[name] == k] for k in range(max(rank.values()) + 1)]


def place(chart: Chart, names: list[str], across: bool) -> tuple[float, float]:
    """Give each node its place, in ranks from left to right or from top to bottom; return the size of the whole."""
    rows = ranks(chart, names)
    rank = {name: k for k, row in enumerate(rows) for name in row}
    gaps, space = [34.0] * len(rows), [14.0] * len(rows)
    for near in range(len(rows) - 1):
        labels = [e for e in chart.edges if e.label and {rank[e.source], rank[e.target]} == {near, near + 1}]
        if labels:
            longest = max(len(edge.label) for edge in labels) * SMALL * LETTER + 40
            own = [edge for edge in labels if not shared(chart, edge)]
            gaps[near] = longest + (30 if len(own) > 2 else 0) if across else 58 + 20 * max(0, len(own) - 1)
            space[near + 1] = 44 if across and len(own) > 2 else 14
    deep = [max(chart.nodes[n].width if across else chart.nodes[n].height for n in row) for row in rows]
    wide = [sum((chart.nodes[n].height if across else chart.nodes[n].width) + space[k] for n in row) - space[k]
            for k, row in enumerate(rows)]  # fmt: skip
    words = [len(edge.label) * SMALL * LETTER + 12 for edge in chart.edges if not across]
    broad, start = max([*wide, *words]), 0.0
    for k, row in enumerate(rows):
        side = (broad - wide[k]) / 2
        for name in row:
            node = chart.nodes[name]
            size = node.height if across else node.width
            middle, off = start + deep[k] / 2, side + size / 2
            node.x, node.y, node.rank = (middle, off, k) if across else (off, middle, k)
            side += size + space[k]
        start += deep[k] + gaps[k]
    length = start - gaps[-1]
    return (length, broad) if across else (broad, length)


def shared(chart: Chart, edge: Edge) -> bool:
    """Say whether another edge that leaves the same node, or reaches the same one, has the same label."""
    return any(
        other is not edge and other.label == edge.label and (other.source == edge.source or other.target == edge.target)
        for other in chart.edges
    )


def text(x: float, y: float, words: str, kind: str, turned: bool = False) -> str:
    """Return words at a place."""
    turn = f' transform="rotate(-90 {x:.0f} {y:.0f})"' if turned else ""
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="middle"{turn}>{html.escape(words)}</text>'


def drawn_nodes(chart: Chart) -> str:
    """Return the boxes and what is written in them."""
    parts = []
    for node in chart.nodes.values():
        left, top, round_ = node.x - node.width / 2, node.y - node.height / 2, 7.0
        if node.kind == "stadium":
            round_ = node.height / 2
        size = f'x="{left:.1f}" y="{top:.1f}" width="{node.width:.1f}" height="{node.height:.1f}" rx="{round_:.1f}"'
        parts.append(f'<rect class="{node.kind}" {size}/>')
        if node.kind == "store":
            lid = f"M{left:.1f} {top + 9:.1f}h{node.width:.1f}"
            parts.append(f'<path class="lid" d="{lid}"/>')
        first = node.y - (len(node.words) - 1) * 9.5 + 5 + (2 if node.kind == "store" else 0)
        parts += [text(node.x, first + 19 * k, line, "name") for k, line in enumerate(node.words)]
    return "".join(parts)


def drawn_edges(chart: Chart, size: tuple[float, float], across: bool, head: str) -> tuple[str, list[float]]:
    """Return the arrows with their labels, and how far they reach beyond the boxes: at the far side, at the near."""
    lines, labels, lanes = [], [], [0, 0]
    pairs = {(edge.source, edge.target) for edge in chart.edges}
    own = [edge for edge in chart.edges if edge.label and not shared(chart, edge)]
    written: set[tuple[str, str]] = set()
    for edge in sorted(chart.edges, key=lambda e: bend(chart, e, across)):
        a, b = chart.nodes[edge.source], chart.nodes[edge.target]
        style = f'class="link{" hint" if edge.dotted else ""}" marker-end="url(#{head})"'
        if abs(a.rank - b.rank) != 1:
            side = 0 if across or a.x > size[0] / 2 + 1 or lanes[1] > lanes[0] else 1
            lanes[side] += 1
            path, label = around(a, b, edge, size, across, side, lanes[side])
            lines.append(f'<path {style} d="{path}"/>')
            labels.append(label)
            continue
        beside = 7 * (-1 if b.rank > a.rank else 1) if (edge.target, edge.source) in pairs else 0
        mates = [e for e in own if {chart.nodes[e.source].rank, chart.nodes[e.target].rank} == {a.rank, b.rank}]
        at = 0.5
        if edge in mates and len(mates) > 1:  # labels that would meet in the middle; further on the arrows are apart
            at = (0.58 if len(mates) > 2 else 0.5) if across else 0.28 + 0.44 * mates.index(edge) / (len(mates) - 1)
        path, label = straight(a, b, edge, across, beside, at)
        lines.append(f'<path {style} d="{path}"/>')
        ends = {(edge.source, edge.label), (edge.target, edge.label)}
        if edge.label and not (shared(chart, edge) and ends & written):
            labels.append(label)
            written |= ends
    return "".join([*lines, *labels]), [26.0 * lanes[0], 26.0 * lanes[1]]


def bend(chart: Chart, edge: Edge, across: bool) -> float:
    """Return how far an arrow strays from the direction of reading."""
    a, b = chart.nodes[edge.source], chart.nodes[edge.target]
    return abs(a.y - b.y) if across else abs(a.x - b.x)


def straight(a: Node, b: Node, edge: Edge, across: bool, beside: float, at: float) -> tuple[str, str]:
    """Return the path of an arrow between neighbouring ranks, and its label at a share of the way from the lower."""
    ahead = 1 if b.rank > a.rank else -1
    if across:
        x1, y1 = a.x + ahead * (a.width / 2 + 2), a.y + beside
        x2, y2 = b.x - ahead * (b.width / 2 + 3), b.y + beside
        path = f"M{x1:.1f} {y1:.1f}C{(x1 + x2) / 2:.1f} {y1:.1f} {(x1 + x2) / 2:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    else:
        x1, y1 = a.x + beside, a.y + ahead * (a.height / 2 + 2)
        x2, y2 = b.x + beside, b.y - ahead * (b.height / 2 + 3)
        path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {(y1 + y2) / 2:.1f} {x2:.1f} {(y1 + y2) / 2:.1f} {x2:.1f} {y2:.1f}"
    t = at if ahead > 0 else 1 - at
    along = t * t * (3 - 2 * t)  # the curve is that far to the side when it is t of the way
    if across:
        x, y = x1 + (x2 - x1) * t, y1 + (y2 - y1) * along
        return path, text(x, y + (-9 if beside <= 0 else 19), edge.label, "label")
    x, y = x1 + (x2 - x1) * along, y1 + (y2 - y1) * t
    anchor = "middle" if not beside else ("start" if beside > 0 else "end")
    return path, text(x + beside, y + 4, edge.label, "label").replace("middle", anchor)


def around(
    a: Node, b: Node, edge: Edge, size: tuple[float, float], across: bool, side: int, lane: int
) -> tuple[str, str]:
    """Return the path of an arrow that runs outside of all boxes, and its label."""
    off = 7 * (lane - 1) * (-1 if across else 1)
    if across:
        y, turn = size[1] + 26 * lane - 4, -8 if b.x < a.x else 8
        path = f"M{a.x:.1f} {a.y + a.height / 2 + 2:.1f}V{y - 8:.1f}q0 8 {turn} 8"
        path += f"H{b.x + off - turn:.1f}q{turn} 0 {turn} -8V{b.y + b.height / 2 + 3:.1f}"
        return path, text((a.x + b.x) / 2, y - 9, edge.label, "label") if edge.label else ""
    out, turn = 1 if side == 0 else -1, -8 if b.y < a.y else 8
    x = size[0] + 26 * lane - 4 if side == 0 else -26 * lane + 4
    start, end = a.x + out * (a.width / 2 + 2), b.x + out * (b.width / 2 + 3)
    path = f"M{start:.1f} {a.y:.1f}H{x - out * 8:.1f}q{out * 8} 0 {out * 8} {turn}"
    path += f"V{b.y + off - turn:.1f}q0 {turn} {-out * 8} {turn}H{end:.1f}"
    return path, text(x - 8 if side == 0 else x + 17, (a.y + b.y) / 2, edge.label, "label", True) if edge.label else ""


def described(chart: Chart) -> str:
    """Say the flowchart in words."""
    name = {key: " ".join(node.words) for key, node in chart.nodes.items()}
    steps = [f"{name[e.source]} to {name[e.target]}{f' ({e.label})' if e.label else ''}" for e in chart.edges]
    return f"Diagram. {'; '.join(steps)}."


def drawing(source: str, across: bool) -> str:
    """Return one drawing of a flowchart as SVG."""
    chart, head = parsed(source), f"head-{next(ids)}"
    body, width, height = "", 0.0, 0.0
    inside = {name for names in chart.groups.values() for name in names}
    free = [name for name in chart.nodes if name not in inside]
    parts = [*chart.groups.items(), *([("", free)] if free else [])]
    for title, names in parts:
        part = Chart({n: chart.nodes[n] for n in names}, [e for e in chart.edges if e.source in names], {})
        size = place(part, names, across)
        edges, (far, near) = drawn_edges(part, size, across, head)
        wide, high = (size[0], size[1] + far) if across else (size[0] + far + near, size[1])
        pad, top = (16, 40) if title else (4, 4)
        inner = f'<g transform="translate({pad + (0 if across else near):.0f} {top})">{edges}{drawn_nodes(part)}</g>'
        if title:
            least = len(title) * FONT * LETTER + 32
            wide, high = max(wide + 2 * pad, least), high + top + pad
            frame = f'<rect class="frame" x="1" y="1" width="{wide - 2:.0f}" height="{high - 2:.0f}" rx="10"/>'
            inner = frame + text(wide / 2, 26, title, "title") + inner
        else:
            wide, high = wide + 2 * pad, high + 2 * pad
        x, y = (0.0, height) if across else (width, 0.0)
        body += f'<g transform="translate({x:.0f} {y:.0f})">{inner}</g>'
        gap = 14 if len(parts) > 1 else 0
        width, height = (max(width, wide), height + high + gap) if across else (width + wide + gap, max(height, high))
    arrow = f'<marker id="{head}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
    arrow += '<path class="head" d="M0 0L10 5L0 10z"/></marker>'
    label = html.escape(described(chart), quote=True)
    size_ = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    kind = "across" if across else "down"
    return f'<svg class="{kind}" {size_} role="img" aria-label="{label}"><defs>{arrow}</defs>{body}</svg>'


def diagram(source: str) -> str:
    """Return both drawings of a flowchart; the style sheet shows the one that fits."""
    return f'<div class="diagram">{drawing(source, True)}{drawing(source, False)}</div>'
