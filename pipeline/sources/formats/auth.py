"""What the messages of sshd, sudo, su and login mean.

One failed attempt is one LOGIN_FAILURE, so of the lines that accompany an attempt exactly one kind counts:

- sshd: `Failed <method> for …`. Its PAM lines accompany that and do not count, nor does `Invalid user …`.
- sshd of older systems, whose tag is `sshd(pam_unix)`, logs PAM lines only: those count.
- su and sudo: the PAM line. `3 incorrect password attempts` and `FAILED su …` repeat it and do not count.
- login: its own `FAILED LOGIN …` or `TOO MANY LOGIN TRIES …`, one an attempt; its PAM lines do not count.

pam_unix logs the first failure of a conversation at once and the others at its end, as `2 more
authentication failures` (Linux-PAM, `_cleanup_failures` in modules/pam_unix/support.c): where PAM lines
count, that line is two attempts. sudo ends its conversations with PAM_DATA_SILENT, so that of three wrong
passwords in one sudo only the first is seen. Other PAM modules (pam_sss, pam_ldap) report the same attempt
as pam_unix and do not count.

A user name may hold anything, ` from 192.0.2.1 port 22` included; the address that sshd itself wrote is the
last one. Only a certificate's key id, which follows it, can hold another; there the user of a valid account,
which holds none, shows where the first one is. Invariant: pure, and linear in the length of the message.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from pipeline.sources.formats.format import Event

SSHD = frozenset({"sshd", "sshd-session", "sshd-auth"})
_SU = frozenset({"su", "su-l", "sudo", "sudo-i"})
_SERVICES = {**dict.fromkeys(SSHD, "sshd"), "su": "su", "su-l": "su", "sudo": "sudo", "sudo-i": "sudo"}
_FROM = r" from (?P<ip>\S+) port (?P<port>\d{1,5})"
_SSH_START = r"(?P<verb>Failed|Accepted) (?P<method>\S+) for (?P<invalid>(?:invalid|illegal) user )?"
_SSH = re.compile(
    _SSH_START + r"(?P<user>.*) from (?P<ip>\S+)(?: port (?P<port>\d{1,5}))?(?: ssh\d?)?(?:: (?P<key>.*))?", re.DOTALL
)
_SSH_CERTIFICATE = re.compile(
    _SSH_START + r"(?P<user>.*?)" + _FROM + r" ssh\d?: (?P<key>\S+-CERT \S+ ID .*)", re.DOTALL
)
_INVALID_USER = re.compile(
    r"(?:Invalid|Illegal) user (?P<user>.*) from (?P<ip>\S+)(?: port (?P<port>\d{1,5}))?", re.DOTALL
)
_PREAUTH = " [preauth]"
_PAM_STYLE = re.compile(r"pam_unix\((?P<service>[^):]{1,64})(?::(?P<step>\w+))?\): ")
_PAM_OLD_STYLE = "(pam_unix) "
_MORE = re.compile(r"(?P<more>\d{1,6}) more authentication failures?; ")
_FAILURE = "authentication failure; "
_PAM_KEYS = ("logname=", " uid=", " euid=", " tty=", " ruser=", " rhost=", " user=")
_SESSION_CLOSED = "session closed for user "
_SUDO = re.compile(r" *(?P<user>.{1,256}?) : (?P<rest>.*)", re.DOTALL)
_SUDO_FIELD = re.compile(r"(?:HOST|TTY|CHROOT|PWD|USER|GROUP|TSID|ENV|COMMAND)=")
_SUDO_DENIED = ("user NOT in sudoers", "user NOT authorized on host", "command not allowed")
_SUDO_ATTEMPTS = re.compile(r"(?P<attempts>\d{1,6}) incorrect password attempts?")
_LOGIN_FAILED = re.compile(r"FAILED LOGIN(?: SESSION| \d{1,6}| \(\d{1,6}\))?|TOO MANY LOGIN TRIES \(\d{1,6}\)")
_LOGIN_ON = re.compile(r"(?:ROOT LOGIN|LOGIN) ON (?P<tty>\S+)(?: BY (?P<user>.*?))?(?: FROM (?P<from>\S+))?", re.DOTALL)
_LOGIN_FROM = re.compile(r"(?:from|FROM) '?(?P<host>[^' ]+)'?")
_LOGIN_TTY = re.compile(r"on '(?P<tty>[^']+)'")
_NOWHERE = frozenset({"(null)", "(unknown)"})


class Meaning(NamedTuple):
    """The fields that a message gives its event, and how often what it reports happened."""

    fields: Event
    times: int = 1


NOTHING = Meaning({})


def service_of(program: str) -> str:
    """Return the name of the service that a program belongs to."""
    return _SERVICES.get(program, program)


def meaning(program: str, module: str | None, text: str) -> Meaning:
    """Return what the message `text` of `program` means; `module` is what its tag holds in parentheses."""
    reader = _READERS.get(program)
    if reader is None:
        return NOTHING
    if module == "pam_unix":
        return _pam(service_of(program), "auth", text, counts=program != "login")
    match = _PAM_STYLE.match(text)
    if match is not None:
        service = service_of(match["service"])
        return _pam(service, match["step"] or "auth", text[match.end() :], counts=match["service"] in _SU)
    if text.startswith(_PAM_OLD_STYLE):
        return _pam(service_of(program), "auth", text.removeprefix(_PAM_OLD_STYLE), counts=program in _SU)
    return reader(text)


def _pam(service: str, step: str, text: str, *, counts: bool) -> Meaning:
    if text.startswith(_SESSION_CLOSED):
        if service not in ("sshd", "login"):
            return NOTHING
        return Meaning({"event": "LOGOUT", **_word("userId", text.removeprefix(_SESSION_CLOSED))})
    times = 1
    more = _MORE.match(text)
    if more is not None:
        times = int(more["more"])
        rest = text[more.end() :]
    elif text.startswith(_FAILURE):
        rest = text.removeprefix(_FAILURE)
    else:
        return NOTHING
    fields = _pam_fields(rest)
    if counts and step == "auth":
        return Meaning({"event": "LOGIN_FAILURE", "reason": "authentication_failure", "method": "pam", **fields}, times)
    return Meaning(fields)


def _pam_fields(rest: str) -> Event:
    """Read `logname= uid=0 … rhost=192.0.2.1  user=root`, whose last value may hold anything."""
    found: dict[str, str] = {}
    at = 0
    for number, key in enumerate(_PAM_KEYS):
        start = rest.find(key, at)
        if start < 0:
            continue
        at = start + len(key)
        ends = [end for later in _PAM_KEYS[number + 1 :] if (end := rest.find(later, at)) >= 0]
        found[key.strip(" =")] = rest[at : min(ends, default=len(rest))].strip()
    return {
        **_word("userId", found.get("user", "")),
        **_word("ip", found.get("rhost", "")),
        **_word("tty", found.get("tty", "")),
        **_word("ruser", found.get("ruser", "")),
    }


def _sshd(text: str) -> Meaning:
    if text.startswith(("Failed ", "Accepted ")):
        line = text.removesuffix(_PREAUTH).rstrip()
        match = _SSH.fullmatch(line)
        if match is None:
            return NOTHING
        if not match["invalid"] and "-CERT " in line:
            match = _SSH_CERTIFICATE.fullmatch(line) or match
        return _ssh_attempt(match)
    if text.startswith(("Invalid user ", "Illegal user ")):
        match = _INVALID_USER.fullmatch(text.removesuffix(_PREAUTH).rstrip())
        if match is not None:
            return Meaning({"userId": match["user"], "ip": match["ip"], **_port(match["port"])})
    return NOTHING


def _ssh_attempt(match: re.Match[str]) -> Meaning:
    method = match["method"]
    fields: Event = {
        "event": "LOGIN_SUCCESS",
        "userId": match["user"],
        "ip": match["ip"],
        **_port(match["port"]),
        "method": method,
    }
    if match["verb"] == "Failed":
        fields["event"] = "LOGIN_FAILURE"
        kind = "password" if method.startswith("keyboard-interactive") else method
        fields["reason"] = "invalid_user" if match["invalid"] else f"invalid_{kind}"
    if match["key"]:
        fields["public_key"] = match["key"]
    return Meaning(fields)


def _sudo(text: str) -> Meaning:
    match = _SUDO.fullmatch(text)
    if match is None:
        return NOTHING
    fields: Event = {"userId": match["user"]}
    rest = match["rest"]
    for key, name in (("TTY=", "tty"), ("USER=", "target_user")):
        start = rest.find(key)
        if start == 0 or rest[max(0, start - 3) : start] == " ; ":
            fields.update(_word(name, rest[start + len(key) :].partition(" ; ")[0]))
    if rest.startswith(_SUDO_DENIED):
        return Meaning({"event": "PRIVILEGE_ESCALATION_ATTEMPT", "reason": rest.partition(" ; ")[0], **fields})
    if _SUDO_FIELD.match(rest):
        return Meaning({"event": "ADMIN_ACTION", **fields}) if "COMMAND=" in rest else Meaning(fields)
    attempts = _SUDO_ATTEMPTS.match(rest)
    if attempts is not None:
        return Meaning({"attempts": int(attempts["attempts"]), **fields})
    return NOTHING


def _su(_text: str) -> Meaning:
    return NOTHING


def _login(text: str) -> Meaning:
    failed = _LOGIN_FAILED.match(text)
    if failed is not None:
        where, found, whom = text[failed.end() :].partition(" FOR ")
        if found:
            return _login_failure(where, whom)
    match = _LOGIN_ON.fullmatch(text)
    if match is not None:
        user = "root" if text.startswith("ROOT") else match["user"] or ""
        return Meaning(
            {
                "event": "LOGIN_SUCCESS",
                "method": "login",
                "userId": user,
                **_word("ip", match["from"] or ""),
                "tty": match["tty"],
            }
        )
    return NOTHING


def _login_failure(where: str, whom: str) -> Meaning:
    """Read shadow's `… on '/dev/tty1' from 'host' FOR 'user', why` and util-linux's `… FROM host FOR user, why`."""
    host = _LOGIN_FROM.search(where)
    tty = _LOGIN_TTY.search(where)
    user = whom[1:].rpartition("'")[0] if whom.startswith("'") else whom.rpartition(", ")[0] or whom
    return Meaning(
        {
            "event": "LOGIN_FAILURE",
            "reason": "authentication_failure",
            "method": "login",
            "userId": user,
            **(_word("ip", host["host"]) if host is not None and host["host"] not in _NOWHERE else {}),
            **(_word("tty", tty["tty"]) if tty is not None else {}),
        }
    )


def _word(name: str, value: str) -> Event:
    return {name: value} if value else {}


def _port(port: str | None) -> Event:
    return {} if port is None else {"source.port": int(port)}


_READERS: dict[str, Callable[[str], Meaning]] = {
    **dict.fromkeys(SSHD, _sshd),
    **dict.fromkeys(_SU, _su),
    "sudo": _sudo,
    "login": _login,
}
