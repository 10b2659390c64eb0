"""Failpoints: places in the code under test where a process ends itself by SIGKILL at the n-th visit.

They are patched in by the tests, in the child process alone; the product knows nothing of them.
"""

import functools
import os
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import urllib3.connection

from pipeline.shipping import bulk, database, home, shipper, spools
from pipeline.shipping.letters import DeadLetters
from pipeline.shipping.spool import Spool

APPENDING = ("append.begin", "append.before-commit", "append.after-commit")
SENDING = (
    "send.before",
    "sent.before-answer",
    "answered.before-settle",
    "settle.before-commit",
    "settle.after-commit",
)
BURYING = ("letters.before", "letters.after")
TIDYING = ("give-back.before", "give-back.after", "discard.between")
STARTING = ("key.before-link", "prepare.before-commit", "prepare.after-commit")


def put(owner: object, name: str, value: object) -> None:
    """Replace `name` of a module or class in this process."""
    if not hasattr(owner, name):
        raise AssertionError(f"{owner} has no {name} any more")
    setattr(owner, name, value)


class Failpoints:
    """Kills this process at the n-th visit of a failpoint, for each name and n of `plan`."""

    def __init__(self, plan: Mapping[str, int]) -> None:
        self._plan = dict(plan)
        self._visits: Counter[str] = Counter()
        self._mutex = threading.Lock()
        self._here = threading.local()

    def visit(self, name: str) -> None:
        """Count a visit of `name`; end the process if it is the one."""
        with self._mutex:
            self._visits[name] += 1
            fatal = self._plan.get(name) == self._visits[name]
        if fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Patch the code under test."""
        self._patch_commits()
        self._patch_sending()
        self._around(DeadLetters, "keep", "letters.before", "letters.after")
        self._around(Spool, "give_back", "give-back.before", "give-back.after")
        files_of = spools._files_of

        def files_then_die(path: Path) -> Iterator[Path]:
            for file in files_of(path):
                yield file
                self.visit("discard.between")

        put(spools, "_files_of", files_then_die)
        link = os.link

        def link_key(source: str, target: Path) -> None:
            self.visit("key.before-link")
            link(source, target)

        put(home, "os", _Replacing(os, link=link_key))

    def _patch_commits(self) -> None:
        points, here = self, self._here

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                doing = getattr(here, "doing", None)
                if sql != "COMMIT" or doing is None:
                    return super().execute(sql, *parameters)
                points.visit(f"{doing}.before-commit")
                done = super().execute(sql, *parameters)
                points.visit(f"{doing}.after-commit")
                return done

        put(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Connection))
        self._doing(Spool, "append", "append")
        self._doing(Spool, "_settle", "settle")
        self._doing(database, "_prepare", "prepare")

    def _patch_sending(self) -> None:
        send, answer = bulk.send, urllib3.connection.HTTPConnection.getresponse

        def send_and_die(*given: Any, **options: Any) -> Any:
            self.visit("send.before")
            self._here.sending = True
            try:
                verdicts = send(*given, **options)
            finally:
                self._here.sending = False
            self.visit("answered.before-settle")
            return verdicts

        def answer_or_die(connection: urllib3.connection.HTTPConnection) -> Any:
            if getattr(self._here, "sending", False):
                self.visit("sent.before-answer")
            return answer(connection)

        put(shipper, "send", send_and_die)
        put(urllib3.connection.HTTPConnection, "getresponse", answer_or_die)

    def _doing(self, owner: object, name: str, doing: str) -> None:
        original = getattr(owner, name)

        def marked(*given: Any, **options: Any) -> Any:
            self.visit(f"{doing}.begin")
            self._here.doing = doing
            try:
                return original(*given, **options)
            finally:
                self._here.doing = None

        put(owner, name, marked)

    def _around(self, owner: type, name: str, before: str, after: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def marked(*given: Any, **options: Any) -> Any:
            self.visit(before)
            done = original(*given, **options)
            self.visit(after)
            return done

        put(owner, name, marked)


class _Replacing:
    """A module with some of its functions replaced."""

    def __init__(self, module: object, **replaced: object) -> None:
        self._module = module
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> object:
        return getattr(self._module, name)
