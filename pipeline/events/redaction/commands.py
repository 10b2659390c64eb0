"""Passwords on command lines, as sudo, audit and cron logs hold them: `sshpass -p …`, `curl -u user:…`, `mysql -p…`.

Options by the name of a secret (`--password …`) are known whatever the command, see `pairs`; here are those whose
letter means a secret for one command and something else for another.

Invariants: only what an option of that command is given is replaced; the work is linear in the length of the text: a
command's options are looked for within `_REACH` characters, and only up to where another command begins.
"""

import re
from typing import NamedTuple

from pipeline.events.redaction.endings import QUOTE, bare_end, string_end

_REACH = 400


class _Command(NamedTuple):
    """Finds an option's value; `parted` commands are given `name:secret` or `name%secret`, of which the name stays."""

    option: re.Pattern[str]
    parted: str = ""


def _option(names: str, gap: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=[\s'\"])(?:{names}){gap}(?![\s-])")


_USER = _Command(_option(r"-u|--user|-U|--proxy-user", r"(?:[ =]|(?<=-[uU]))"), ":")
_ATTACHED = _Command(_option("-p", ""))
_COMMANDS: dict[str, _Command] = {
    "sshpass": _Command(_option("-p", " ?")),
    "curl": _USER,
    "redis-cli": _Command(_option("-a", " ")),
    "mysql": _ATTACHED,
    "mysqldump": _ATTACHED,
    "mysqladmin": _ATTACHED,
    "mariadb": _ATTACHED,
    "mariadb-dump": _ATTACHED,
    "ldapsearch": _Command(_option("-w", " ?")),
    "ldapmodify": _Command(_option("-w", " ?")),
    "ldapadd": _Command(_option("-w", " ?")),
    "smbclient": _Command(_option(r"-U|--user", "[ =]?"), "%"),
    "mongo": _Command(_option("-p", " ?")),
    "mongosh": _Command(_option("-p", " ?")),
    "mongodump": _Command(_option("-p", " ?")),
    "docker": _Command(_option("-p(?= )", " ")),
}
_LOGINS = frozenset({"docker"})
"""Commands whose option means a secret only behind `login`: `docker run -p 80:80` publishes a port."""

_ONE = "|".join(sorted(map(re.escape, _COMMANDS), key=len, reverse=True))
_NAME = re.compile(rf"(?<![\w-])({_ONE})(?:\.exe)?+(?= )([^|;&\n]{{0,{_REACH}}})")
_WITH_OPTION = rf"(?:{_ONE})(?:\.exe)?+ (?:[^|;&]{{0,{_REACH}}}?[ '\"])??-"
_ANY = re.compile(_WITH_OPTION)
_ANY_BYTES = re.compile(_WITH_OPTION.encode())


def may_command(string: bytes) -> bool:
    """Return whether a command that may be given a secret stands in `string`."""
    return _ANY_BYTES.search(string) is not None


def redact_commands(text: str, marker: str) -> str:
    """Return `text` with the secrets that commands are given replaced."""
    if _ANY.search(text) is None:
        return text
    parts: list[str] = []
    done = 0
    for found in _NAME.finditer(text):
        start, end = found.span(2)
        name = found[1]
        if name in _LOGINS and " login " not in text[start:end]:
            continue
        command = _COMMANDS[name]
        for option in command.option.finditer(text, start, end):
            if option.end() < done:
                continue
            at, stop = _secret(text, option.end(), command.parted)
            if at < stop and not text.startswith(marker, at):
                parts += (text[done:at], marker)
                done = stop
    if not parts:
        return text
    return "".join(parts) + text[done:]


def _secret(text: str, at: int, parted: str) -> tuple[int, int]:
    """Return where the secret in the value at `at` begins and ends."""
    quoted = QUOTE.match(text, at)
    if quoted is not None:
        at = quoted.end()
        end = string_end(text, at, quoted[1])
    else:
        end = bare_end(text, at)
    if parted:
        mark = text.find(parted, at, end)
        at = end if mark < 0 else mark + 1
    return at, end
