"""The part of a syslog line before its message: priority, time, host, program, process id.

Source: RFC 3164 section 4.1 and what rsyslog, syslog-ng and systemd write in its place, ISO 8601 times
included. RFC 3164 times name no year. The year of a line follows from the line before: logs run forwards, so
a date that seems more than half a year earlier is the next year's, one that seems more than eleven months
later is a straggler of the year before. Where no year is given, none may lead beyond `latest`, the last
change of the file or now. What could only be dated by that bound, or is such a straggler, says nothing of the
lines after it: a board without a clock boots in January, whenever that is. Of an hour that a clock change
repeats, the pass is chosen that does not lead back, and of a message that was received just now, the one that
is now. Where a relay or an export has put a time in front of a line with a time, the host and message are
those of the line, the instant is the complete one in front. busybox writes `auth.info` before the program.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from pipeline.events.values import instant_text

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_HEADER = re.compile(
    r"(?:<\d{1,3}>)?"
    rf"(?:(?P<month>{'|'.join(_NAMES)}) {{1,2}}(?P<day>\d{{1,2}}) "
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?P<fraction>[.,]\d{1,9})?"
    r"|(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?))"
    r":? (?:(?P<year>(?:19|20)\d\d) (?=[^\s:\[]+ \S))?(?:<\w+\.\w+> )?(?P<host>\S+) ?(?P<rest>.*)",
    re.DOTALL,
)
_FACILITIES = "kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7]"
_BUSYBOX = re.compile(rf"(?:{_FACILITIES})\.(?:emerg|alert|crit|err|error|warn|warning|notice|info|debug) ")
_TAG = re.compile(
    r"(?P<name>(?=[^\s:\[\(]*[^\W\d])[^\s:\[\(]{1,128})"
    r"(?:\((?P<module>[^)\s]{1,64})\))?(?:\[(?P<pid>\d{1,10})\])?:(?: (?P<text>.*))?",
    re.DOTALL,
)
_ROOT_LOGIN = re.compile(r" ?-- (?P<name>\S{1,64})\[(?P<pid>\d{1,10})\]: (?P<text>.*)", re.DOTALL)
_DAY_MS = 86_400_000
_NEXT_YEAR_MS = 180 * _DAY_MS
_LAST_YEAR_MS = 335 * _DAY_MS
_DISORDER_MS = 60_000
_JUST_NOW_MS = 600_000
_MINUTES_CACHED = 4_096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAP_CYCLE = 8


class Tag(NamedTuple):
    """Who wrote a message: `sshd(pam_unix)[4]: text` has the name `sshd` and the module `pam_unix`."""

    name: str | None
    module: str | None
    pid: int | None
    text: str


class Header(NamedTuple):
    """What a line says before its message. `host` is None where it names none.

    `time_ms` is None where its date does not exist. `time` is for an event: the instant as text, because a number of
    few digits would count seconds there, or what the line says where that is none.
    """

    time_ms: int | None
    time: str
    host: str | None
    rest: str


class LocalTime(NamedTuple):
    """A time without a year; `millis` counts from the minute."""

    month: int
    day: int
    hour: int
    minute: int
    millis: int


class LogClock:
    """Gives the times of one source's lines their instants; see the module. `previous_ms` is the line before's."""

    __slots__ = ("_latest", "_minutes", "_previous_year", "_timezone", "_year", "previous_ms")

    def __init__(self, timezone: tzinfo, year: int | None, latest: Callable[[], int]) -> None:
        self._timezone = timezone
        self._year = year
        self._latest = latest
        self._minutes: dict[tuple[int, int, int, int, int], tuple[int, int] | None] = {}
        self.previous_ms: int | None = None
        self._previous_year = 0

    def resume(self, previous_ms: int | None) -> None:
        """Go on after a line at `previous_ms`."""
        self.previous_ms = previous_ms
        if previous_ms is not None:
            self._previous_year = self._local_year(previous_ms)

    def yearless(self, local: LocalTime) -> int | None:
        """Return the instant of a time without a year, None where there is no such day; remember it."""
        previous = self.previous_ms
        if previous is not None:
            year = self._previous_year
        else:
            year = self._year if self._year is not None else self._local_year(self._latest() + _DAY_MS)
        found = self._in_year(year, local)
        stray = False
        if previous is not None:
            if found is None or found < previous - _NEXT_YEAR_MS:
                later = self._in_year(year + 1, local)
                if later is not None and (found is not None or later > previous):
                    found, year = later, year + 1
            elif found > previous + _LAST_YEAR_MS and (self._year is not None or found > self._latest() + _DAY_MS):
                earlier = self._in_year(year - 1, local)
                if earlier is not None:
                    found, year, stray = earlier, year - 1, True
        if self._year is None:
            limit = self._latest() + _DAY_MS
            if found is None or found > limit:
                found, year = self._before(limit, year, local) or (found, year)
                stray = stray or previous is not None
        if found is not None and not stray:
            self.previous_ms, self._previous_year = found, year
        return found

    def of_year(self, year: int, local: LocalTime) -> int | None:
        """Return the instant of a time in `year`, None where there is no such day; remember it."""
        found = self._in_year(year, local)
        if found is not None:
            self.previous_ms, self._previous_year = found, year
        return found

    def full(self, text: str) -> int | None:
        """Return the instant of an ISO 8601 time, None where there is no such day; remember it."""
        leap = text[17:19] == "60"
        try:
            moment = datetime.fromisoformat(f"{text[:17]}59{text[19:]}" if leap else text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._timezone)
            found = _since_epoch(moment.astimezone(UTC))
        except (ValueError, OverflowError):
            return None
        self.previous_ms, self._previous_year = found, moment.year
        return found

    def _before(self, limit: int, year: int, local: LocalTime) -> tuple[int, int] | None:
        """Return the last instant of a time without a year that is not after `limit`, and its year."""
        for earlier in range(year, year - _LEAP_CYCLE - 1, -1):
            found = self._in_year(earlier, local)
            if found is not None and found <= limit:
                return found, earlier
        return None

    def _local_year(self, time_ms: int) -> int:
        return (_EPOCH + timedelta(milliseconds=time_ms)).astimezone(self._timezone).year

    def _in_year(self, year: int, local: LocalTime) -> int | None:
        key = (year, local.month, local.day, local.hour, local.minute)
        try:
            passes = self._minutes[key]
        except KeyError:
            passes = self._passes(*key)
            if len(self._minutes) >= _MINUTES_CACHED:
                self._minutes.clear()
            self._minutes[key] = passes
        if passes is None:
            return None
        first, second = passes
        previous = self.previous_ms
        if second > first:
            if previous is None:
                behind = self._latest() - second - local.millis
                return (second if -_DISORDER_MS <= behind <= _JUST_NOW_MS else first) + local.millis
            if first + local.millis < previous - _DISORDER_MS:
                return second + local.millis
        return first + local.millis

    def _passes(self, year: int, month: int, day: int, hour: int, minute: int) -> tuple[int, int] | None:
        """Return the instants of a local minute: two that differ where a clock change repeats it."""
        try:
            first = datetime(year, month, day, hour, minute, tzinfo=self._timezone)
            return _since_epoch(first), _since_epoch(first.replace(fold=1))
        except (ValueError, OverflowError):
            return None


def parse_header(text: str, clock: LogClock) -> Header | None:
    """Return the header of a line, or None where there is none."""
    match = _HEADER.match(text)
    if match is None:
        return None
    month, day, hour, minute, second, fraction, iso, year, host, rest = match.groups()
    if iso is not None:
        time_ms, written = clock.full(iso), iso
        inner = _HEADER.match(text, match.start("host")) if host in _MONTHS else None
        if inner is not None:
            host, rest = inner["host"], inner["rest"]
    else:
        written = text[match.start("month") : match.end("second")]
        millis = min(int(second), 59) * 1000 + (int(f"{fraction[1:4]:0<3}") if fraction else 0)
        local = LocalTime(_MONTHS[month], int(day), int(hour), int(minute), millis)
        time_ms = clock.yearless(local) if year is None else clock.of_year(int(year), local)
    time = written if time_ms is None else instant_text(time_ms)
    if host.endswith(":"):
        return Header(time_ms, time, None, f"{host} {rest}")
    return Header(time_ms, time, host, rest)


def parse_tag(rest: str) -> Tag:
    """Return who wrote the message; without a tag all of it is text."""
    busybox = _BUSYBOX.match(rest)
    if busybox is not None:
        rest = rest[busybox.end() :]
    match = _TAG.match(rest)
    if match is not None:
        name, module, pid, text = match.groups()
        return Tag(name, module, None if pid is None else int(pid), text or "")
    match = _ROOT_LOGIN.match(rest)
    if match is not None:
        return Tag("login", None, int(match["pid"]), match["text"])
    return Tag(None, None, None, rest)


def _since_epoch(moment: datetime) -> int:
    since = moment - _EPOCH
    return since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000
