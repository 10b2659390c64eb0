"""What a channel is, and how channels are found.

A channel is one module with a function `channel(settings, clock)` that returns a `Channel`, or `None` where
the settings do not ask for it. Those in this folder are found by being there; a third party's by an entry
point of the group `siemlite.channels` that names such a function. Invariant: a channel that cannot be made is
a configuration error that names it, never a channel that is silently missing.
"""

import importlib
import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Protocol

from pipeline.alerts.outbox import Action
from pipeline.clock import Clock
from pipeline.delivery.notice import Notice
from pipeline.delivery.retry import Failure
from pipeline.errors import ConfigurationError, SiemliteError
from pipeline.settings import Settings

GROUP = "siemlite.channels"
_NOT_CHANNELS = frozenset({"base", "deadline", "http"})


class SendError(SiemliteError):
    """A message did not go out. Its text and `failure` hold no secret."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Channel(Protocol):
    """A way to people, or to a machine that reaches them. `send` may be called from two threads at once."""

    @property
    def name(self) -> str:
        """Return the name by which alerts and settings know it."""
        ...

    @property
    def actions(self) -> frozenset[Action]:
        """Return the actions that it has messages for; `OPEN` is always one."""
        ...

    @property
    def reaches_people(self) -> bool:
        """Return whether a message may disturb somebody; drills stay away from such channels."""
        ...

    def send(self, notice: Notice) -> None:
        """Send one message; return once it was taken, within half a minute or so.

        Raises `SendError` where it was not taken, or may not have been.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


Factory = Callable[[Settings, Clock], Channel | None]


def load_channels(settings: Settings, clock: Clock) -> dict[str, Channel]:
    """Return the channels that the settings ask for, by name.

    The console is always among them, for drills and for where nothing else is. Raises `ConfigurationError`.
    """
    channels: dict[str, Channel] = {}
    for origin, factory in (*_built_in(), *_third_party()):
        try:
            made = factory(settings, clock)
        except ConfigurationError:
            raise
        except Exception as error:
            raise ConfigurationError(
                f"the channel {origin} cannot be made: {error!r}; repair or uninstall it"
            ) from error
        if made is None:
            continue
        if made.name in channels:
            raise ConfigurationError(f"two channels are called {made.name!r}; uninstall {origin}")
        channels[made.name] = made
    return channels


def _built_in() -> list[tuple[str, Factory]]:
    package = importlib.import_module("pipeline.delivery.channels")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name not in _NOT_CHANNELS)
    return [(name, importlib.import_module(f"{package.__name__}.{name}").channel) for name in names]


def _third_party() -> list[tuple[str, Factory]]:
    found = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            found.append((point.name, point.load()))
        except Exception as error:
            raise ConfigurationError(
                f"the channel {point.name} ({point.value}) cannot be loaded: {error!r}; repair or uninstall it"
            ) from error
    return found
