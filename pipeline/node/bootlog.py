"""Finding, in what a server said before it ended, the line that tells why. Pure."""

import re

_FRAME = re.compile(r"^\s+(at |\.\.\. \d+ more)|^\s*$|^\s*(Likely root cause|For complete error details)")
_PREFIX = re.compile(r"^\[[^\]]*\]\[(?P<level>[A-Z]+)\s*\]\[[^\]]*\]\s*(\[[^\]]*\]\s*)?")
_NOISE = re.compile(
    r"check the logs at|did not exit normally|fatal exception while booting|uncaught exception|ignoring JAVA_HOME"
    r"|^(stopping|stopped|closing|closed) ?\.*$|^(node )?(stopping|closing)|died while starting up|^ERROR: *$"
    r"|starting java failed with|^(output|error): *$|^Error: (Could not create|A fatal exception)"
    r"|^Error occurred during initialization of VM|^bootstrap check failure \[\d+\] of \[\d+\]: *$|^WARNING: "
)
_LONGEST = 300


def reason(log: str, console: str) -> str:
    """Return the last meaningful line: the deepest cause, else an error, else what was said last.

    `log` and `console` hold only what this start wrote. Never empty, never longer than 300 characters.
    """
    lines = [*_meaningful(console), *_meaningful(log)]
    for wanted in ("Caused by: ", "ERROR", "FATAL", "Exception", "Error", "error"):
        for level, text in reversed(lines):
            if level == wanted or wanted in text:
                return text.removeprefix("Caused by: ")[:_LONGEST]
    return lines[-1][1][:_LONGEST] if lines else "it said nothing"


def _meaningful(text: str) -> list[tuple[str, str]]:
    found = []
    for line in text.splitlines():
        if _FRAME.search(line):
            continue
        prefix = _PREFIX.match(line)
        rest = line[prefix.end() :].strip() if prefix else line.strip()
        if rest and not _NOISE.search(rest):
            found.append((prefix["level"] if prefix else "", rest))
    return found
