"""What the messages of sshd, sudo, su and login mean.

One failed attempt is one LOGIN_FAILURE, so of the lines that accompany an attempt exactly one kind counts:

- sshd: `Failed <method> for …`. Its PAM lines accompany that and do not count, nor does `Invalid user …`.
  `Failed keyboard-interactive/pam …` is itself company: of accounts that exist it is not logged unless the
  level is VERBOSE, and `error: PAM: Authentication failure for …` is there in any case (OpenSSH, auth_log in
  auth.c and sshpam_query in auth-pam.c), so that one counts.
- sshd of older systems, whose tag is `sshd(pam_unix)`, logs PAM lines only: those count, and so do su's.
- su: its own `FAILED SU …` or `FAILED su …`, one an attempt whatever PAM asked.
- sudo: pam_unix's line, and of `3 incorrect password attempts` the other two; see below.
- login: its own `FAILED LOGIN …` or `TOO MANY LOGIN TRIES …`, one an attempt; its PAM lines do not count.

pam_unix logs the first failure of a conversation at once and the others at its end, as `2 more
authentication failures` (Linux-PAM, `_cleanup_failures` in modules/pam_unix/support.c): where PAM lines
count, that line is two attempts. sudo ends its conversations with PAM_DATA_SILENT, so that of three wrong
passwords in one sudo pam_unix tells of the first. Other PAM modules (pam_sss, pam_ldap) may report the same
attempt as pam_unix and do not count: of an account that only they know, sudo's first attempt is not seen.

A user name may hold anything, ` from 192.0.2.1 port 22` included; the address that sshd itself wrote is the
last one. Only a certificate's key id, which follows it, can hold another; there the user of a valid account,
which holds none, shows where the first one is. Lines of a connection that ends before a login (`Connection
closed by authenticating user …`) give account and address, and do not count.

sshd writes a backslash twice and what is not ASCII in octal (vis(3) in do_log in log.c), and does that again to what
its unprivileged part says, which ends with `[preauth]`: the names of accounts are given as sudo, PAM and everybody
else write them. Invariant: pure, and linear in the length of the message.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from pipeline.sources.formats.format import Event

SSHD = frozenset({"sshd", "sshd-session", "sshd-auth"})
_SU = frozenset({"su", "su-l", "su-rs"})
_SUDO_NAMES = frozenset({"sudo", "sudo-i", "sudo-rs"})
_SERVICES = {**dict.fromkeys(SSHD, "sshd"), **dict.fromkeys(_SU, "su"), **dict.fromkeys(_SUDO_NAMES, "sudo")}
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
_PAM_ERROR = re.compile(
    r"error: PAM: (?P<why>.{1,200}?) for (?P<invalid>(?:invalid|illegal) user )?(?P<user>.*) from (?P<ip>\S+)",
    re.DOTALL,
)
_ENDED = re.compile(
    r"(?:Connection (?:closed|reset) by|Disconnected from|Disconnecting|Received disconnect from)"
    r"(?: (?P<kind>authenticating|invalid) user (?P<user>.*))? (?P<ip>[0-9A-Fa-f:.]{2,45}(?:%\w{1,32})?)"
    r" port (?P<port>\d{1,5})(?::.*)?",
    re.DOTALL,
)
_EXCEEDED = re.compile(
    r"error: maximum authentication attempts exceeded for (?:(?:invalid|illegal) user )?(?P<user>.*)"
    r" from (?P<ip>\S+) port (?P<port>\d{1,5})(?: ssh\d?)?",
    re.DOTALL,
)
_NOT_ALLOWED = re.compile(r"User (?P<user>.*) from (?P<ip>\S+) not allowed because .*", re.DOTALL)
_PAM_METHOD = "keyboard-interactive/pam"
_PREAUTH = " [preauth]"
_ESCAPED = re.compile(r"\\\\|(?:\\[23][0-7]{2})+")
_PAM_STYLE = re.compile(r"pam_unix\((?P<service>[^):]{1,64})(?::(?P<step>\w+))?\): ")
_PAM_OLD_STYLE = "(pam_unix) "
_MORE = re.compile(r"(?P<more>\d{1,6}) more authentication failures?; ")
_FAILURE = "authentication failure; "
_PAM_KEYS = ("logname=", " uid=", " euid=", " tty=", " ruser=", " rhost=", " user=")
_SESSION_CLOSED = "session closed for user "
_SUDO_USER_MAX = 256
_SUDO_FIELD = re.compile(r"(?:HOST|TTY|CHROOT|PWD|USER|GROUP|TSID|ENV|COMMAND)=")
_SUDO_DENIED = ("user NOT in sudoers", "user NOT authorized on host", "command not allowed")
_SUDO_ATTEMPTS = re.compile(r"(?P<attempts>\d{1,6}) incorrect password attempts?")
_LOGIN_FAILED = re.compile(r"FAILED LOGIN(?: SESSION| \d{1,6}| \(\d{1,6}\))?|TOO MANY LOGIN TRIES \(\d{1,6}\)")
_LOGIN_ON = re.compile(r"(?:ROOT LOGIN|LOGIN) ON (?P<tty>\S+)(?: BY (?P<user>.*?))?(?: FROM (?P<from>\S+))?", re.DOTALL)
_LOGIN_ON_SHADOW = re.compile(
    r"(?:ROOT LOGIN|'(?P<user>.*)' logged in) {1,2}(?:on '(?P<tty>[^']+)')?(?: ?from '(?P<from>[^']*)')?", re.DOTALL
)
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
        return _pam(service, match["step"] or "auth", text[match.end() :], counts=match["service"] in _SUDO_NAMES)
    if text.startswith(_PAM_OLD_STYLE):
        counts = program in _SUDO_NAMES or program in _SU
        return _pam(service_of(program), "auth", text.removeprefix(_PAM_OLD_STYLE), counts=counts)
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
    found = _sshd_line(text)
    user = found.fields.get("userId")
    if isinstance(user, str) and "\\" in user:
        for _ in range(2 if text.endswith(_PREAUTH) else 1):
            user = _ESCAPED.sub(_unescaped, user)
        found.fields["userId"] = user
    return found


def _unescaped(match: re.Match[str]) -> str:
    """Return the backslash, or the letters, that a part of a name stands for."""
    if match[0] == "\\\\":
        return "\\"
    try:
        return bytes(int(octet, 8) for octet in match[0].split("\\")[1:]).decode()
    except UnicodeDecodeError:
        return match[0]


def _sshd_line(text: str) -> Meaning:
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
    if text.startswith("error: PAM: "):
        match = _PAM_ERROR.fullmatch(text.removesuffix(_PREAUTH).rstrip())
        return NOTHING if match is None else _pam_error(match)
    return _company(text.removesuffix(_PREAUTH).rstrip())


def _pam_error(match: re.Match[str]) -> Meaning:
    fields: Event = {
        "event": "LOGIN_FAILURE",
        "userId": match["user"],
        "ip": match["ip"],
        "method": _PAM_METHOD,
        "reason": "invalid_user" if match["invalid"] else "invalid_password",
    }
    return Meaning(fields)


def _company(line: str) -> Meaning:
    """Return whom and what address a line names that accompanies attempts, or their end."""
    match = _ENDED.fullmatch(line) or _EXCEEDED.fullmatch(line) or _NOT_ALLOWED.fullmatch(line)
    if match is None:
        return NOTHING
    found = match.groupdict()
    return Meaning({**_word("userId", found["user"] or ""), "ip": found["ip"], **_port(found.get("port"))})


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
    if match["verb"] == "Failed" and method == _PAM_METHOD:
        del fields["event"], fields["reason"]
    return Meaning(fields)


def _sudo(text: str) -> Meaning:
    user, found, rest = text.lstrip(" ").partition(" : ")
    if not found or not user or len(user) > _SUDO_USER_MAX:
        return NOTHING
    fields: Event = {"userId": user}
    rest = rest.lstrip(" ")
    for key, name in (("TTY=", "tty"), ("USER=", "target_user")):
        start = rest.find(key)
        if start == 0 or rest[max(0, start - 3) : start] == " ; ":
            fields.update(_word(name, rest[start + len(key) :].partition(" ; ")[0]))
    if rest.startswith(_SUDO_DENIED):
        return Meaning({"event": "PRIVILEGE_ESCALATION_ATTEMPT", "reason": rest.partition(" ; ")[0], **fields})
    if _SUDO_FIELD.match(rest):
        return Meaning({"event": "ADMIN_ACTION", **fields}) if "COMMAND=" in rest else Meaning(fields)
    attempts = _SUDO_ATTEMPTS.match(rest)
    if attempts is None:
        return NOTHING
    number = int(attempts["attempts"])
    fields["attempts"] = number
    if number < 2:
        return Meaning(fields)
    return Meaning(
        {"event": "LOGIN_FAILURE", "reason": "authentication_failure", "method": "sudo", **fields}, number - 1
    )


def _su(text: str) -> Meaning:
    """Read util-linux's `FAILED SU (to root) ann on pts/0` and shadow's `FAILED su for root by ann`."""
    if text.startswith("FAILED SU (to "):
        before, _, tty = text.removeprefix("FAILED SU (to ").rpartition(" on ")
        to, found, by = before.partition(") ")
    elif text.startswith("FAILED su for "):
        to, found, by = text.removeprefix("FAILED su for ").rpartition(" by ")
        tty = ""
    else:
        return NOTHING
    if not found:
        return NOTHING
    return Meaning(
        {
            "event": "LOGIN_FAILURE",
            "reason": "authentication_failure",
            "method": "su",
            **_word("userId", to),
            **_word("ruser", by),
            **_word("tty", tty),
        }
    )


def _login(text: str) -> Meaning:
    failed = _LOGIN_FAILED.match(text)
    if failed is not None:
        where, found, whom = text[failed.end() :].partition(" FOR ")
        if found:
            return _login_failure(where, whom)
    match = _LOGIN_ON.fullmatch(text) or _LOGIN_ON_SHADOW.fullmatch(text)
    if match is not None:
        user = "root" if text.startswith("ROOT") else match["user"] or ""
        return Meaning(
            {
                "event": "LOGIN_SUCCESS",
                "method": "login",
                "userId": user,
                **_word("ip", match["from"] or ""),
                **_word("tty", match["tty"] or ""),
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
    **dict.fromkeys(_SUDO_NAMES, _sudo),
    "login": _login,
}
