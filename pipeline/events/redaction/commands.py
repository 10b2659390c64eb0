"""Passwords on command lines, as sudo, audit and cron logs hold them: `sshpass -p …`, `curl -u user:…`, `mysql -p…`.

Options by the name of a secret (`--password …`) are known whatever the command, see `pairs`; here are those whose
letter means a secret for one command and something else for another.

Invariants: only what an option of that command is given is replaced; the work is linear in the length of the text: a
command's options are looked for within `_REACH` characters, and only up to where another command begins.
"""

import re
from collections.abc import Callable
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
    "podman": _Command(_option("-p(?= )", " ")),
    "useradd": _Command(_option("-p", " ?")),
    "usermod": _Command(_option("-p", " ?")),
    "ipmitool": _Command(_option("-P", " ?")),
    "sqlcmd": _Command(_option("-P", " ?")),
    "zip": _Command(_option("-P", " ?")),
    "unzip": _Command(_option("-P", " ?")),
    "7z": _ATTACHED,
    "kadmin": _Command(_option("-w", " ?")),
    "rpcclient": _Command(_option(r"-U|--user", "[ =]?"), "%"),
    "lftp": _Command(_option("-u", " ?"), ","),
    "snmpwalk": _Command(_option("-c", " ?")),
    "mosquitto_pub": _Command(_option("-P", " ?")),
    "mosquitto_sub": _Command(_option("-P", " ?")),
}
_LOGINS = frozenset({"docker", "podman"})
"""Commands whose option means a secret only behind `login`: `docker run -p 80:80` publishes a port."""

_ONE = "|".join(sorted(map(re.escape, _COMMANDS), key=len, reverse=True))
_NAME = re.compile(rf"(?<![\w-])({_ONE})(?:\.exe)?+(?= )([^|;&\n]{{0,{_REACH}}})")
_WITH_OPTION = rf"(?:{_ONE})(?:\.exe)?+ (?:[^|;&]{{0,{_REACH}}}?[ '\"])??-"
_AUDIT = "a0="
"""How the arguments of a command begin in a record of audit's: `a0="sshpass" a1="-p" a2="…"`."""

_ARGUMENT = re.compile(r'(?<![\w-])a[0-9]{1,4}=("[^"]*+"|(?:[0-9A-F]{2})++(?![\w"]))')
"""An argument: in quotes, or in hexadecimal where it holds what quotes could not."""

_ANY = re.compile(f"{_WITH_OPTION}|{_AUDIT}")
_ANY_BYTES = re.compile(f"{_WITH_OPTION}|{_AUDIT}".encode())


def may_command(string: bytes) -> bool:
    """Return whether a command that may be given a secret stands in `string`."""
    return _ANY_BYTES.search(string) is not None


def redact_commands(text: str, marker: str, is_sensitive: Callable[[str], bool]) -> str:
    """Return `text` with the secrets that commands are given replaced; `is_sensitive` judges the name of an option."""
    if _ANY.search(text) is None:
        return text
    if _AUDIT in text:
        text = _audited(text, marker, is_sensitive)
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


def _audited(text: str, marker: str, is_sensitive: Callable[[str], bool]) -> str:
    """Return `text` with the secrets among the arguments of an audit record replaced.

    They are looked at as the command line that they were: what is hidden there, a whole argument or its end, is
    hidden here.
    """
    found = list(_ARGUMENT.finditer(text))
    given = [_argument(match[1]) for match in found]
    parts: list[str] = []
    done = 0
    for match, before, after in zip(found, given, _shown(given, marker, is_sensitive), strict=True):
        if after != before:
            parts += (text[done : match.start(1)], f'"{after}"')
            done = match.end(1)
    return "".join(parts) + text[done:]


def _argument(written: str) -> str:
    if written.startswith('"'):
        return written[1:-1]
    return bytes.fromhex(written).decode("utf-8", "backslashreplace")


def _shown(given: list[str], marker: str, is_sensitive: Callable[[str], bool]) -> list[str]:
    """Return the arguments with secrets hidden; a command may itself be an argument, as sudo's is."""
    shown = list(given)
    command: _Command | None = None
    for at, argument in enumerate(given):
        if not argument.startswith("-"):
            name = argument.rpartition("/")[2].removesuffix(".exe")
            if name in _COMMANDS and (name not in _LOGINS or "login" in given[at:]):
                command = _COMMANDS[name]
            continue
        name, mark, _ = argument.partition("=")
        following = at + 1 < len(given)
        if name.startswith("--") and is_sensitive(name[2:]):
            if mark:
                shown[at] = f"{name}={marker}"
            elif following:
                shown[at + 1] = marker
        elif command is not None:
            line = f" {argument} {given[at + 1]}" if following else f" {argument} "
            option = command.option.match(line, 1)
            if option is None:
                continue
            if option.end() > len(argument) + 1 and following:
                shown[at + 1] = _hidden(given[at + 1], marker, command.parted)
            else:
                shown[at] = argument[: option.end() - 1] + _hidden(argument[option.end() - 1 :], marker, command.parted)
    return shown


def _hidden(value: str, marker: str, parted: str) -> str:
    if not parted:
        return marker
    name, mark, secret = value.partition(parted)
    return f"{name}{mark}{marker}" if secret else value


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
