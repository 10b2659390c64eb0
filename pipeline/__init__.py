"""siemlite: security logging and monitoring on Elasticsearch.

An application needs `from pipeline import SecurityEvent, SecurityLogger` and, for events of its own,
`EventType`. Invariant: importing the package loads nothing; each name is loaded when it is first used.
"""

TYPE_CHECKING = False  # typing's own takes time to load, in which Ctrl-C ends a command with a traceback
if TYPE_CHECKING:
    from pipeline.events.catalogue import EventType as EventType
    from pipeline.events.catalogue import SecurityEvent as SecurityEvent
    from pipeline.logger.security import SecurityLogger as SecurityLogger

_HOMES = {
    "EventType": "pipeline.events.catalogue",
    "SecurityEvent": "pipeline.events.catalogue",
    "SecurityLogger": "pipeline.logger.security",
}

__all__ = ["EventType", "SecurityEvent", "SecurityLogger"]


def __getattr__(name: str) -> object:
    from importlib import import_module

    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
