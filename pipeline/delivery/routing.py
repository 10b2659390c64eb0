"""Which channels an alert goes to. Pure.

`SIEMLITE_ROUTES` holds rules, separated by `;`: a channel, a colon and conditions joined by `&`, each
`severity>=high`, `severity=low`, `detection=brute_*` or `tag=pci`. For example
`email: severity>=high; webhook: tag=pci & detection=*export*`. Invariants: a channel that no rule names gets
every alert (PagerDuty those of `SIEMLITE_PAGERDUTY_SEVERITIES`, the console none); a channel that rules name
gets the alerts that meet one of them; what siemlite says of itself, and its digests, are not narrowed by detection
or tag, unless a rule names them (`detection=siemlite_operations`, `siemlite_digest`); an alert that would reach no
channel goes to the console; a drill reaches nobody but the console unless its id asks for paging.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pipeline.alerts.outbox import Action, Subject
from pipeline.delivery.channels.base import Channel
from pipeline.detection.timeline import Severity
from pipeline.errors import ConfigurationError

CONSOLE = "console"
PAGERDUTY = "pagerduty"
OWN = ("siemlite_operations", "siemlite_digest")
"""What is no detection: siemlite's own troubles, and digests."""

PAGING_DRILL = "page-"
"""A drill whose id begins so also goes where real alerts go."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one property of an alert: `name` is `severity`, `detection` or `tag`, `operator` `=` or `>=`."""

    name: str
    operator: str
    value: str

    def holds(self, subject: Subject) -> bool:
        """Return whether the alert meets it."""
        if self.name == "severity":
            wanted = Severity(self.value)
            return subject.severity.rank >= wanted.rank if self.operator == ">=" else subject.severity is wanted
        names = subject.tags if self.name == "tag" else (subject.detection_id,)
        return any(fnmatchcase(name, self.value) for name in names)


@dataclass(frozen=True, slots=True)
class Route:
    """A rule: alerts that meet all `conditions` go to `channel`."""

    channel: str
    conditions: tuple[Condition, ...]


def parse_routes(text: str) -> tuple[Route, ...]:
    """Return the rules in `text`. Raises `ConfigurationError` that shows the rule which cannot be read."""
    routes = []
    for part in text.split(";"):
        if not part.strip():
            continue
        channel, colon, conditions = part.partition(":")
        if not colon or not channel.strip():
            raise _wrong(part)
        routes.append(Route(channel.strip(), tuple(_condition(c, part) for c in conditions.split("&") if c.strip())))
    return tuple(routes)


def _condition(text: str, rule: str) -> Condition:
    operator = ">=" if ">=" in text else "="
    name, found, value = (piece.strip() for piece in text.partition(operator))
    if not found or not value or name not in ("severity", "detection", "tag"):
        raise _wrong(rule)
    if name == "severity":
        value = value.lower()
        if value not in tuple(Severity):
            raise _wrong(rule)
    elif operator == ">=":
        raise _wrong(rule)
    return Condition(name, operator, value)


def _wrong(rule: str) -> ConfigurationError:
    return ConfigurationError(
        f"SIEMLITE_ROUTES: {rule.strip()[:80]!r} cannot be read; write rules such as "
        "`email: severity>=high; webhook: tag=pci & detection=brute_*`"
    )


class Routing:
    """The routes of an installation; implements `pipeline.alerts.outbox.Routes`."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        routes: tuple[Route, ...] = (),
        pagerduty_severities: tuple[str, ...] = (Severity.CRITICAL,),
    ) -> None:
        """Raises `ConfigurationError` for a rule or severity that names nothing there is."""
        self._channels = channels
        self._routes = routes
        for route in routes:
            if route.channel not in channels:
                known = ", ".join(sorted(channels))
                raise ConfigurationError(
                    f"SIEMLITE_ROUTES names the channel {route.channel!r}, which is not configured; there is {known}"
                )
        for name in pagerduty_severities:
            if name not in tuple(Severity):
                raise ConfigurationError(
                    f"SIEMLITE_PAGERDUTY_SEVERITIES: {name!r} is no severity; use low, medium, high or critical"
                )
        self._pagerduty = frozenset(pagerduty_severities)

    def channels(self, subject: Subject) -> tuple[str, ...]:
        """See `Routes.channels`."""
        quiet_drill = subject.drill is not None and not subject.drill.startswith(PAGING_DRILL)
        chosen = tuple(
            name
            for name, channel in self._channels.items()
            if self._wants(name, subject) and not (quiet_drill and channel.reaches_people)
        )
        return chosen or ((CONSOLE,) if CONSOLE in self._channels else ())

    def understands(self, channel: str, action: Action) -> bool:
        """See `Routes.understands`."""
        known = self._channels.get(channel)
        return known is not None and action in known.actions

    @property
    def patterns(self) -> tuple[str, ...]:
        """Return the patterns of detections that the rules name."""
        named = [c.value for route in self._routes for c in route.conditions if c.name == "detection"]
        return tuple(dict.fromkeys(named))

    def _wants(self, name: str, subject: Subject) -> bool:
        rules = [route for route in self._routes if route.channel == name]
        if rules:
            by_severity = subject.detection_id in OWN and not any(
                fnmatchcase(subject.detection_id, pattern) for pattern in self.patterns
            )
            return any(
                all(c.holds(subject) for c in route.conditions if c.name == "severity" or not by_severity)
                for route in rules
            )
        if name == PAGERDUTY:
            return subject.severity in self._pagerduty
        return name != CONSOLE
