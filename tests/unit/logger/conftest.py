"""Loggers with a home of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.logger.security import SecurityLogger
from tests.unit.logger.support import settings_for

MakeLogger = Callable[..., SecurityLogger]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def make(home: Path) -> Iterator[MakeLogger]:
    """Return a function that makes a logger for `home`; all are closed in the end."""
    made: list[SecurityLogger] = []

    def make_one(service: str = "auth-api", *, durable: bool = False, **overrides: Any) -> SecurityLogger:
        made.append(SecurityLogger(service, settings=settings_for(home, **overrides), durable=durable))
        return made[-1]

    yield make_one
    for security in made:
        security.close(timeout=2)


@pytest.fixture
def security(make: MakeLogger) -> SecurityLogger:
    return make()
