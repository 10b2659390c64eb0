"""The page of the built-in detections and its ATT&CK matrix, made from the detections themselves.

`make docs` writes `docs/detections.md` and `docs/attack-matrix.svg`; a test fails where they are stale. Names and
tactics of the techniques are those of MITRE ATT&CK for Enterprise, version 17.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from pipeline.detection.detection import Detection
from pipeline.detection.durations import duration_text
from pipeline.detection.kind import ByCount
from pipeline.engine.loader import BUILT_IN, load_detections

FOLDER = Path(__file__).parent
PAGE = FOLDER / "detections.md"
MATRIX = FOLDER / "attack-matrix.svg"

TACTICS = (
    "Reconnaissance",
    "Initial Access",
    "Persistence",
    "Privilege Escalation",
    "Defense Evasion",
    "Credential Access",
    "Discovery",
    "Lateral Movement",
    "Collection",
    "Exfiltration",
)

TECHNIQUES: dict[str, tuple[str, tuple[str, ...]]] = {
    "T1021": ("Remote Services", ("Lateral Movement",)),
    "T1068": ("Exploitation for Privilege Escalation", ("Privilege Escalation",)),
    "T1070": ("Indicator Removal", ("Defense Evasion",)),
    "T1078": (
        "Valid Accounts",
        ("Initial Access", "Persistence", "Privilege Escalation", "Defense Evasion"),
    ),
    "T1087": ("Account Discovery", ("Discovery",)),
    "T1098": ("Account Manipulation", ("Persistence", "Privilege Escalation")),
    "T1110": ("Brute Force", ("Credential Access",)),
    "T1190": ("Exploit Public-Facing Application", ("Initial Access",)),
    "T1213": ("Data from Information Repositories", ("Collection",)),
    "T1539": ("Steal Web Session Cookie", ("Credential Access",)),
    "T1548": ("Abuse Elevation Control Mechanism", ("Privilege Escalation", "Defense Evasion")),
    "T1550": ("Use Alternate Authentication Material", ("Defense Evasion", "Lateral Movement")),
    "T1552": ("Unsecured Credentials", ("Credential Access",)),
    "T1556": (
        "Modify Authentication Process",
        ("Persistence", "Defense Evasion", "Credential Access"),
    ),
    "T1562": ("Impair Defenses", ("Defense Evasion",)),
    "T1567": ("Exfiltration Over Web Service", ("Exfiltration",)),
    "T1589": ("Gather Victim Identity Information", ("Reconnaissance",)),
    "T1595": ("Active Scanning", ("Reconnaissance",)),
    "T1621": ("Multi-Factor Authentication Request Generation", ("Credential Access",)),
}

_COLUMN, _ROW, _HEAD, _TOP = 168, 58, 44, 54
_SHADES = ("#e8f0f8", "#bcd3ea", "#7fabd6", "#3f7fbf")


def page(detections: Sequence[Detection]) -> str:
    """Return the page."""
    lines = [
        "# Built-in detections",
        "",
        f"{len(detections)} detections, each a file in `detections/`. This page is made from them by `make docs`.",
        "",
        "![The techniques of MITRE ATT&CK that they cover](attack-matrix.svg)",
        "",
        "| detection | fires on | by | severity | ATT&CK |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(detection) for detection in detections]
    for detection in detections:
        lines += _section(detection)
    return "\n".join([*lines, ""])


def _row(detection: Detection) -> str:
    by = ", ".join(f"`{name}`" for name in detection.group_by) or "all events"
    attack = ", ".join(_link(technique) for technique in detection.attack)
    return (
        f"| [{detection.id}](#{detection.id}) | {detection.kind.summary()} | {by} | {_severity(detection)} | {attack} |"
    )


def _section(detection: Detection) -> Iterator[str]:
    yield ""
    yield f"## {detection.id}"
    yield ""
    yield f"**{detection.title}.** Severity {_severity(detection)}; a new alert after a silence of "
    yield f"{duration_text(detection.suppress_for)}; {type(detection.kind).__name__}: {detection.kind.summary()}."
    yield ""
    yield detection.guide
    yield ""
    fires, quiet = len(detection.kind.fires), len(detection.kind.quiet)
    firing, staying = "fires" if fires == 1 else "fire", "stays" if quiet == 1 else "stay"
    yield f"Examples: {fires} that {firing}, {quiet} that {staying} quiet."


def _severity(detection: Detection) -> str:
    severity = detection.kind.severity
    if isinstance(severity, ByCount):
        return ", ".join(f"{level.value} from {count}" for count, level in severity.levels)
    return severity.value


def _link(technique: str) -> str:
    return f"[{technique}](https://attack.mitre.org/techniques/{technique.replace('.', '/')}/)"


def matrix(detections: Sequence[Detection]) -> str:
    """Return the matrix as an SVG document: a column for each tactic, darker where more detections look."""
    counts: dict[str, int] = {}
    for detection in detections:
        for technique in {name.partition(".")[0] for name in detection.attack}:
            counts[technique] = counts.get(technique, 0) + 1
    columns = {tactic: sorted(name for name in counts if tactic in TECHNIQUES[name][1]) for tactic in TACTICS}
    width = _COLUMN * len(columns) + 20
    height = _TOP + _HEAD + _ROW * max(len(names) for names in columns.values()) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="28" font-size="17">MITRE ATT&amp;CK: {len(counts)} techniques, '
        f"{len(detections)} detections</text>",
    ]
    for number, (tactic, names) in enumerate(columns.items()):
        parts += _column(10 + number * _COLUMN, tactic, [(name, counts[name]) for name in names])
    return "\n".join([*parts, "</svg>", ""])


def _column(x: int, tactic: str, entries: Sequence[tuple[str, int]]) -> Iterator[str]:
    yield f'<rect x="{x}" y="{_TOP}" width="{_COLUMN - 6}" height="{_HEAD - 8}" fill="#22384f"/>'
    yield f'<text x="{x + 8}" y="{_TOP + 23}" fill="white" font-weight="bold">{escape(tactic)}</text>'
    for number, (technique, count) in enumerate(entries):
        y = _TOP + _HEAD + number * _ROW
        shade = _SHADES[min(len(_SHADES), count) - 1]
        ink = "white" if shade == _SHADES[-1] else "#14202c"
        name = _wrapped(TECHNIQUES[technique][0])
        yield f'<rect x="{x}" y="{y}" width="{_COLUMN - 6}" height="{_ROW - 6}" fill="{shade}"/>'
        yield f'<text x="{x + 8}" y="{y + 15}" fill="{ink}" font-weight="bold">{technique} · {count}</text>'
        for line, text in enumerate(name):
            yield f'<text x="{x + 8}" y="{y + 30 + 14 * line}" fill="{ink}">{escape(text)}</text>'


def _wrapped(name: str) -> list[str]:
    lines = [""]
    for word in name.split():
        if len(lines[-1]) + len(word) > 25:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:2]


def write() -> None:
    """Write the page and the picture."""
    detections = load_detections([BUILT_IN]).detections
    PAGE.write_text(page(detections), encoding="utf-8")
    MATRIX.write_text(matrix(detections), encoding="utf-8")
