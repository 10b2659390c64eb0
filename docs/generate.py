"""Writes the generated parts of the documents: run `make docs` after changing what they describe.

A generated part stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`; a test fails where a
document does not hold what this would write.
"""

import re
import sys
from pathlib import Path

from docs import detections
from pipeline.events.catalogue import CATALOGUE
from pipeline.events.fields import FIELDS, OWN_FIELDS
from pipeline.settings import Settings

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
AUTHORS = ROOT / "docs" / "writing-detections.md"


def catalogue_table() -> str:
    """Return the fifteen events as a table."""
    rows = ["| event | level | ECS category / type | outcome | OWASP vocabulary |", "|---|---|---|---|---|"]
    rows += [
        f"| `{kind.code}` | {kind.level} | {', '.join(kind.category)} / {', '.join(kind.type)} "
        f"| {kind.outcome or ''} | {f'`{kind.owasp}`' if kind.owasp else ''} |"
        for kind in CATALOGUE
    ]
    return "\n".join(rows)


def settings_table() -> str:
    """Return every setting with its default and meaning as a table."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{name.upper()}` | {_default(name)} | {field.description} |")
    return "\n".join(rows)


def _default(name: str) -> str:
    field = Settings.model_fields[name]
    if field.default_factory is not None:
        return {"siemlite_home": "the user's data folder; as root `/var/lib/siemlite`"}.get(
            name, "the user's cache folder; as root `/var/cache/siemlite`"
        )
    value = field.default
    if value in (None, (), ""):
        return ""
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    kinds = [str(item) for item in field.metadata]
    if isinstance(value, int) and any("duration_ms" in kind for kind in kinds):
        return f"`{_duration(value)}`"
    if isinstance(value, int) and any("byte_size" in kind for kind in kinds):
        return f"`{_size(value)}`"
    return f"`{value}`"


def _duration(ms: int) -> str:
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if ms and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms}ms"


def _size(count: int) -> str:
    for unit, size in (("g", 1024**3), ("m", 1024**2), ("k", 1024)):
        if count and count % size == 0:
            return f"{count // size}{unit}"
    return str(count)


_LOOKED_AT = {
    "keyword": ("a text as a whole", "a value, `prefix`, `contains`"),
    "text": ("words", "`phrase`"),
    "long": ("a whole number", "a value, `at_least`, `between`, …"),
    "double": ("a number", "a value, `at_least`, `between`, …"),
    "date": ("an instant", "`exists`"),
    "ip": ("an address", "a value, `cidr`"),
    "geo_point": ("a place", "`exists`; `Custom`"),
    "flattened": ("any metadata, as texts", "a value, `prefix`"),
}


def fields_table() -> str:
    """Return every field that events have, by what it holds, as a table."""
    names: dict[str, set[str]] = {}
    for name, kind in (FIELDS | OWN_FIELDS).items():
        shown = {"flattened": f"{name}.*", "double": "siemlite.number.*"}.get(kind, name)
        names.setdefault(kind, set()).add(f"`{shown}`")
    rows = ["| holds | conditions | fields |", "|---|---|---|"]
    rows += [f"| {' | '.join(_LOOKED_AT[kind])} | {', '.join(sorted(found))} |" for kind, found in names.items()]
    return "\n".join(rows)


PARTS = {README: {"catalogue": catalogue_table, "settings": settings_table}, AUTHORS: {"fields": fields_table}}


def with_parts(path: Path) -> str:
    """Return the text of the document at `path` with its generated parts renewed."""
    text = path.read_text(encoding="utf-8")
    for name, make in PARTS[path].items():
        found = re.search(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", text, re.DOTALL)
        if found is None:
            raise SystemExit(f"{path.name} has no part named {name}")
        text = f"{text[: found.end(1)]}{make()}\n{text[found.start(2) :]}"
    return text


def main() -> int:
    """Write all documents."""
    for path in PARTS:
        path.write_text(with_parts(path), encoding="utf-8")
    detections.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
