"""Read the documents: code blocks by language, lines of shell, links, tables."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README, README_KO = ROOT / "README.md", ROOT / "README.ko.md"
PAGES = sorted([README, README_KO, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
_CELL_CODE = re.compile(r"`([^`]+)`")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return [body for name, body in _BLOCK.findall(text_of(page)) if name == language]


def links(page: Path) -> list[str]:
    return [link for link in _LINK.findall(text_of(page)) if "://" not in link]


def shell_lines(page: Path) -> list[str]:
    """Return the commands of the shell blocks, and those in backquotes in the text and the tables."""
    text = text_of(page)
    written = [line.split("  #")[0].strip() for body in blocks(page, "bash") for line in body.splitlines()]
    prose = _CELL_CODE.findall(_BLOCK.sub("", text))
    starts = ("make ", "panollava ", "python ", "./")
    return [line for line in dict.fromkeys([*written, *prose]) if line.startswith(starts)]


def rows(page: Path, first_column: str) -> list[list[str]]:
    """Return the rows of the table whose first heading is ``first_column``."""
    lines = text_of(page).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found
