"""`python -m zk_pipeline_tests.house [PROJECT]`: draws the folders of a checkout as boxes, layer by layer.

A box says how many modules and lines it has. A line between two boxes stands for imports, the thicker the more.
"""

import ast
import re
import sys
from collections import Counter
from configparser import ConfigParser
from html import escape
from pathlib import Path

PACKAGE = "zk_pipeline"
GENERATED = "store/migrations/versions"
WIDTH, HEIGHT, GAP, BOX = 1000, 46, 34, 150
STYLE = """
text { font: 13px sans-serif; fill: #1b2733 } .small { font-size: 11px; fill: #52616b }
rect { fill: #eef3f7; stroke: #7b8c99 } path { fill: none; stroke: #2f6f9f; stroke-opacity: .35 }
@media (prefers-color-scheme: dark) {
  text { fill: #e4eaef } .small { fill: #a9b6c0 } rect { fill: #24303a; stroke: #6b7b87 } path { stroke: #7fb8e0 } }
"""


def main() -> None:
    """Write the picture of a checkout to standard output."""
    project = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    sys.stdout.write(picture(project))


def picture(project: Path) -> str:
    """The house as SVG."""
    layers, modules = layers_of(project), modules_of(project)
    files = Counter(folder_of(name) for name in modules)
    lines: Counter[str] = Counter()
    for name, path in modules.items():
        lines[folder_of(name)] += len(path.read_text(encoding="utf-8").splitlines())
    places = {
        folder: (WIDTH * (column + 1) / (len(layer) + 1), GAP + row * (HEIGHT + GAP))
        for row, layer in enumerate(layers)
        for column, folder in enumerate(layer)
    }
    height = GAP + len(layers) * (HEIGHT + GAP)
    drawn = [_arrow(places[one], places[other], number) for (one, other), number in imports(modules).items()]
    boxes = [_box(folder, files[folder], lines[folder], *place) for folder, place in places.items()]
    total = f"{sum(files.values())} modules, {sum(lines.values()):,} lines, without migrations"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 20}" role="img">\n'
        f"<title>{escape(total)}; imports only go down.</title>\n<style>{STYLE}</style>\n"
        + "\n".join([*drawn, *boxes])
        + f'\n<text class="small" x="12" y="{height + 8}">{escape(total)}</text>\n</svg>\n'
    )


def layers_of(project: Path) -> list[list[str]]:
    """The layers from top to bottom, each with its folders and modules."""
    rules = ConfigParser()
    rules.read(project / ".importlinter")
    named = [re.findall(r"\w+", line) for line in rules["importlinter:contract:layers"]["layers"].split("\n")]
    return [layer for layer in named if layer]


def modules_of(project: Path) -> dict[str, Path]:
    """The modules of the product below its package, by their dotted names."""
    top = project / PACKAGE
    paths = (path for path in top.rglob("*.py") if GENERATED not in path.as_posix() and path.parent != top.parent)
    named = {".".join(path.relative_to(top).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
    return {name: path for name, path in named.items() if name != "__init__"}


def folder_of(module: str) -> str:
    """The folder or module right below the package."""
    return module.partition(".")[0]


def imports(modules: dict[str, Path]) -> Counter[tuple[str, str]]:
    """How often a folder imports another one."""
    found: Counter[tuple[str, str]] = Counter()
    for name, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
                inner = (node.module or "").removeprefix(PACKAGE).strip(".")
                for alias in node.names:
                    other = folder_of(inner or alias.name)
                    if other != folder_of(name) and other in {folder_of(known) for known in modules}:
                        found[folder_of(name), other] += 1
    return found


def _box(folder: str, files: int, lines: int, x: float, y: float) -> str:
    about = f"{files} modules, {lines:,} lines" if files > 1 else f"{lines:,} lines"
    return (
        f'<rect x="{x - BOX / 2:.0f}" y="{y:.0f}" width="{BOX}" height="{HEIGHT}" rx="6"/>'
        f'<text x="{x:.0f}" y="{y + 19:.0f}" text-anchor="middle">{escape(folder)}</text>'
        f'<text class="small" x="{x:.0f}" y="{y + 36:.0f}" text-anchor="middle">{about}</text>'
    )


def _arrow(start: tuple[float, float], end: tuple[float, float], number: int) -> str:
    (x1, y1), (x2, y2) = (start[0], start[1] + HEIGHT), end
    middle = (y1 + y2) / 2
    return (
        f'<path stroke-width="{min(1 + number / 15, 6):.1f}" '
        f'd="M{x1:.0f} {y1:.0f} C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"/>'
    )


if __name__ == "__main__":
    main()
