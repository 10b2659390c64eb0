"""What a format is, and which formats there are.

Invariants: a line never raises and is never dropped: what cannot be parsed is an event with its text, a tag
and the time of the line before it. A format holds a bounded state, for one source of lines in their order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Protocol

from pipeline.errors import ConfigurationError

Event = dict[str, object]

TOO_LONG = "line_too_long"
"""The tag of an event of which only the beginning was kept."""


def tags_of(event: Event) -> list[object]:
    """Return the tags that an event has."""
    tags = event.get("tags")
    return tags if isinstance(tags, list) else []


class Format(Protocol):
    """Turns lines into events."""

    name: str
    unread: int
    """Lines so far that are not of the format at all; each became an event that holds it."""

    unwraps: bool
    """Whether the format reads what containers wrap lines in, so that pieces of one line are to be joined."""

    def parse(self, line: bytes) -> Sequence[Event]:
        """Return the events of a line that is not blank, without its line ending."""
        ...

    def parse_cut(self, line: bytes) -> Sequence[Event]:
        """Return the events of a line that is too long; they carry the tag `TOO_LONG`.

        `line` is its beginning and, where its end is known, `CUT` and that.
        """
        ...

    def snapshot(self) -> str:
        """Return the state between two lines as text."""
        ...

    def restore(self, state: str) -> None:
        """Go on from a state that `snapshot` returned; what is not one is ignored."""
        ...


@dataclass(frozen=True, slots=True)
class FormatOptions:
    """What a user can say about lines: the year of the first and the timezone of those that name none.

    Raises `ConfigurationError` for a year out of reason.
    """

    year: int | None = None
    timezone: tzinfo = UTC

    def __post_init__(self) -> None:
        if self.year is not None and not 1974 <= self.year <= 9000:
            raise ConfigurationError(f"--year {self.year} is not a year of a log; give four digits, such as 2015")


Latest = Callable[[], int]
"""Answers with an instant that no line can be later than: the file's last change, or now."""

FormatFactory = Callable[[Latest], Format]
"""Makes the format of one source of lines."""


def name_of(make_format: FormatFactory) -> str:
    """Return the name of what `make_format` makes."""
    return make_format(lambda: 0).name


def other_format(name: str) -> str:
    """Return the format that lines that are not of `name` may have, for people to think of."""
    return "authlog" if name == "json" else "json"


def format_factory(name: str, options: FormatOptions | None = None) -> FormatFactory:
    """Return what makes formats called `name`; raises `ConfigurationError` where there is none."""
    from pipeline.sources.formats.authlog import AuthLog
    from pipeline.sources.formats.json_lines import JsonLines
    from pipeline.sources.formats.syslog import Syslog

    chosen = options or FormatOptions()
    known: dict[str, FormatFactory] = {
        "json": lambda _latest: JsonLines(chosen),
        "authlog": lambda latest: AuthLog(chosen, latest),
        "syslog": lambda latest: Syslog(chosen, latest),
    }
    try:
        return known[name]
    except KeyError:
        raise ConfigurationError(f"--format {name!r} is not known; use one of {', '.join(sorted(known))}") from None


def decoded(line: bytes) -> str:
    """Return a line as text; a byte that is not UTF-8 becomes `\\xNN`.

    NULs are left out: UTF-16 has one in every other place, and a secret would be in clear between them.
    """
    if b"\0" in line:
        line = line.replace(b"\0", b"")
    return line.decode("utf-8", "backslashreplace")
