"""Write the table of keys in docs/configuration.md from the schema.

Run it so: ``python docs/make_fields.py``.
"""

import json
from pathlib import Path

from panollava.config.schema import FieldInfo, walk_fields

PAGE = Path(__file__).parent / "configuration.md"
START, STOP = "<!-- fields: written by docs/make_fields.py -->", "<!-- end of fields -->"


def table() -> str:
    """Return every key with its default and meaning, one table a section."""
    lines: list[str] = []
    section = ""
    for field in walk_fields():
        head = field.path.split(".")[0]
        if head != section:
            section = head
            lines += ["", f"### {section}", "", "| key | default | meaning |", "| --- | --- | --- |"]
        lines.append(f"| `{field.path}` | {_default(field)} | {field.description.replace('|', chr(92) + '|')} |")
    return "\n".join(lines).strip()


def page(text: str) -> str:
    """Return the page with the table between its marks renewed."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(STOP)
    return f"{before}{START}\n\n{table()}\n\n{STOP}{after}"


def _default(field: FieldInfo) -> str:
    return "required" if field.required else f"`{json.dumps(field.default)}`"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
