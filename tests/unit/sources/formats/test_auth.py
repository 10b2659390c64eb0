"""What a message of sshd, sudo, su or login means, and what it does not."""

from collections.abc import Callable
from functools import partial

import pytest

from pipeline.sources.formats.auth import meaning
from tests.unit.effort import grows_linearly

FAILURE = "LOGIN_FAILURE"


def code(program: str, text: str, module: str | None = None) -> object:
    return meaning(program, module, text).fields.get("event")


@pytest.mark.parametrize(
    ("text", "user", "address", "reason"),
    [
        ("Failed password for root from 192.0.2.1 port 22 ssh2", "root", "192.0.2.1", "invalid_password"),
        ("Failed password for invalid user bob from 192.0.2.1 port 22 ssh2", "bob", "192.0.2.1", "invalid_user"),
        ("Failed password for illegal user bob from 192.0.2.1 port 22 ssh2", "bob", "192.0.2.1", "invalid_user"),
        ("Failed none for invalid user  from ::1 port 22 ssh2", "", "::1", "invalid_user"),
        ("Failed password for invalid user  0101 from ::1 port 22 ssh2", " 0101", "::1", "invalid_user"),
        ("Failed password for DOM\\john smith from fe80::1%eth0 port 2 ssh2", "DOM\\john smith", "fe80::1%eth0", None),
        ("Failed keyboard-interactive for root from 192.0.2.1 port 22 ssh2", "root", "192.0.2.1", "invalid_password"),
        ("error: PAM: Authentication failure for root from 192.0.2.1", "root", "192.0.2.1", "invalid_password"),
        ("error: PAM: Authentication error for root from host.example", "root", "host.example", "invalid_password"),
        ("error: PAM: Authentication failure for illegal user bob from ::1", "bob", "::1", "invalid_user"),
        (
            "error: PAM: User not known to the underlying authentication module for illegal user x from 192.0.2.9 "
            "from 192.0.2.1 [preauth]",
            "x from 192.0.2.9",
            "192.0.2.1",
            "invalid_user",
        ),
        ("Failed none for root from 192.0.2.1 port 22 ssh2 [preauth]", "root", "192.0.2.1", "invalid_none"),
        ("Failed password for root from UNKNOWN port 65535 ssh2", "root", "UNKNOWN", "invalid_password"),
        (
            "Failed publickey for root from 192.0.2.1 port 22 ssh2: ED25519 SHA256:abc",
            "root",
            "192.0.2.1",
            "invalid_publickey",
        ),
        (
            "Failed password for invalid user x from 192.0.2.99 port 1 ssh2 from 192.0.2.1 port 22 ssh2",
            "x from 192.0.2.99 port 1 ssh2",
            "192.0.2.1",
            "invalid_user",
        ),
        (
            "Failed publickey for root from 192.0.2.1 port 22 ssh2: "
            "RSA-CERT SHA256:a ID x from 192.0.2.99 port 1 ssh2: RSA-CERT SHA256:b ID y (serial 0) CA RSA SHA256:c",
            "root",
            "192.0.2.1",
            "invalid_publickey",
        ),
    ],
)
def test_a_failed_attempt_at_sshd_is_one_login_failure(text: str, user: str, address: str, reason: str | None) -> None:
    found = meaning("sshd", None, text)
    assert found.times == 1
    assert found.fields["event"] == FAILURE
    assert found.fields["userId"] == user
    assert found.fields["ip"] == address
    assert reason in (None, found.fields["reason"])


def test_method_port_and_key_are_kept() -> None:
    text = "Accepted publickey for ann from 192.0.2.1 port 50000 ssh2: ED25519 SHA256:abc"
    assert meaning("sshd-session", None, text).fields == {
        "event": "LOGIN_SUCCESS",
        "userId": "ann",
        "ip": "192.0.2.1",
        "source.port": 50000,
        "method": "publickey",
        "public_key": "ED25519 SHA256:abc",
    }


@pytest.mark.parametrize(
    "text",
    [
        "Invalid user bob from 192.0.2.1 port 22",
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root",
        "pam_unix(sshd:auth): check pass; user unknown",
        "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root",
        "pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1 user=root",
        "error: maximum authentication attempts exceeded for root from 192.0.2.1 port 22 ssh2 [preauth]",
        "Failed keyboard-interactive/pam for invalid user bob from 192.0.2.1 port 22 ssh2",
        "Disconnecting: Too many authentication failures for root [preauth]",
        "Connection closed by authenticating user root 192.0.2.1 port 22 [preauth]",
        "Postponed publickey for ann from 192.0.2.1 port 22 ssh2 [preauth]",
        "Partial publickey for ann from 192.0.2.1 port 22 ssh2",
        "pam_unix(sshd:session): session opened for user ann by (uid=0)",
        "Failed to release session: x from 192.0.2.1 port 22 ssh2",
        "",
    ],
)
def test_what_accompanies_an_attempt_at_sshd_does_not_count(text: str) -> None:
    assert code("sshd", text) is None


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("Connection closed by authenticating user root 192.0.2.1 port 22 [preauth]", "root"),
        ("Connection reset by invalid user a b 192.0.2.1 port 22 [preauth]", "a b"),
        ("Disconnected from authenticating user root 192.0.2.1 port 22 [preauth]", "root"),
        ("Disconnecting invalid user x 192.0.2.9 port 9 192.0.2.1 port 22: Too many failures [preauth]", None),
        ("Disconnecting authenticating user root 192.0.2.1 port 22: Too many authentication failures", "root"),
        ("Received disconnect from 192.0.2.1 port 22:11: Bye 192.0.2.9 port 9", ""),
        ("error: maximum authentication attempts exceeded for root from 192.0.2.1 port 22 ssh2 [preauth]", "root"),
        ("User root from 192.0.2.1 not allowed because not listed in AllowUsers", "root"),
        ("Failed keyboard-interactive/pam for invalid user bob from 192.0.2.1 port 22 ssh2", "bob"),
    ],
)
def test_the_address_of_a_connection_is_known_whatever_its_line_says(text: str, user: str | None) -> None:
    fields = meaning("sshd", None, text).fields
    assert "event" not in fields
    assert fields["ip"] == "192.0.2.1"
    assert user is None or fields.get("userId", "") == user


def test_the_user_and_address_of_an_accompanying_line_are_kept() -> None:
    assert meaning("sshd", None, "Invalid user bob from 192.0.2.1").fields == {"userId": "bob", "ip": "192.0.2.1"}
    text = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=a.example  user=x"
    assert meaning("sshd", None, text).fields == {"userId": "x", "ip": "a.example", "tty": "ssh"}


@pytest.mark.parametrize(
    ("text", "user"),
    [
        (r"Accepted password for CORP\\administrator from 192.0.2.1 port 22 ssh2", r"CORP\administrator"),
        (r"Failed password for invalid user CORP\\bob from 192.0.2.1 port 22 ssh2", r"CORP\bob"),
        (r"Failed password for CORP\nancy from 192.0.2.1 port 22 ssh2", r"CORP\nancy"),
        (r"Invalid user CORP\\bob from 192.0.2.1 port 22", r"CORP\bob"),
        (r"error: PAM: Authentication failure for CORP\\bob from 192.0.2.1", r"CORP\bob"),
        (r"Connection closed by authenticating user CORP\\\\bob 192.0.2.1 port 22 [preauth]", r"CORP\bob"),
        (r"Failed password for J\303\274rgen from 192.0.2.1 port 22 ssh2", "Jürgen"),
        (r"Failed password for x\303 \033[0m\n from 192.0.2.1 port 22 ssh2", r"x\303 \033[0m\n"),
    ],
)
def test_an_account_that_sshd_names_is_the_one_that_others_name(text: str, user: str) -> None:
    assert meaning("sshd", None, text).fields["userId"] == user


def test_where_sshd_logs_pam_lines_only_each_is_an_attempt() -> None:
    text = "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=192.0.2.1  user=root"
    found = meaning("sshd", "pam_unix", text)
    assert (found.fields["event"], found.fields["ip"], found.fields["userId"], found.times) == (
        FAILURE,
        "192.0.2.1",
        "root",
        1,
    )
    assert meaning("sshd", "pam_unix", "check pass; user unknown").fields == {}


def test_more_failures_of_a_pam_conversation_are_as_many_attempts() -> None:
    text = "2 more authentication failures; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=192.0.2.1  user=root"
    assert meaning("sshd", "pam_unix", text).times == 2
    text = "(pam_unix) 1 more authentication failure; logname=a uid=1 euid=0 tty=pts/0 ruser=a rhost=  user=root"
    assert (code("su", text), meaning("su", None, text).times) == (FAILURE, 1)


def test_a_user_name_in_a_pam_line_cannot_forge_an_address() -> None:
    text = "authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=x rhost=192.0.2.99"
    fields = meaning("sshd", "pam_unix", text).fields
    assert (fields["ip"], fields["userId"]) == ("192.0.2.1", "x rhost=192.0.2.99")


PAM = "authentication failure; logname=ann uid=1000 euid=0 tty=/dev/pts/0 ruser=ann rhost=  user=root"


@pytest.mark.parametrize(
    ("program", "module", "text"),
    [
        ("sudo", None, f"pam_unix(sudo:auth): {PAM}"),
        ("sudo-rs", None, f"pam_unix(sudo:auth): {PAM}"),
        ("su", "pam_unix", PAM),
        ("su", None, "FAILED SU (to root) ann on pts/0"),
        ("su", None, "FAILED su for root by ann"),
    ],
)
def test_of_what_su_and_sudo_write_one_line_is_the_attempt(program: str, module: str | None, text: str) -> None:
    found = meaning(program, module, text)
    assert (found.fields["event"], found.times) == (FAILURE, 1)
    assert (found.fields["userId"], found.fields["ruser"]) == ("root", "ann")
    assert "ip" not in found.fields


def test_of_three_passwords_that_sudo_refused_pam_tells_of_the_first_and_sudo_of_the_others() -> None:
    found = meaning("sudo", None, "  ann : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=x")
    assert (found.fields["event"], found.times) == (FAILURE, 2)
    assert (found.fields["userId"], found.fields["target_user"]) == ("ann", "root")


@pytest.mark.parametrize("program", ["sudo", "sudo-rs"])
def test_a_command_without_a_terminal_is_an_action_as_well(program: str) -> None:
    fields = meaning(program, None, "ann :  PWD=/home/ann ; USER=root ; COMMAND=/usr/bin/id").fields
    assert (fields["event"], fields["userId"], fields["target_user"]) == ("ADMIN_ACTION", "ann", "root")


@pytest.mark.parametrize(
    ("text", "user", "host"),
    [
        ("ROOT LOGIN  on '/dev/tty1'", "root", None),
        ("ROOT LOGIN  on '/dev/pts/3' from 'host.example'", "root", "host.example"),
        ("'ann' logged in on '/dev/tty1'", "ann", None),
        ("'ann' logged in on '/dev/pts/1' from 'host.example'", "ann", "host.example"),
    ],
)
def test_a_login_that_shadows_login_tells_of_is_one(text: str, user: str, host: str | None) -> None:
    fields = meaning("login", None, text).fields
    assert (fields["event"], fields["userId"], fields.get("ip")) == ("LOGIN_SUCCESS", user, host)


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("sudo", "ann : 1 incorrect password attempt ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls"),
        ("sudo", "ann : a password is required ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls"),
        ("sudo", "pam_unix(sudo:auth): auth could not identify password for [ann]"),
        ("sudo", "pam_unix(sudo:session): session closed for user root"),
        ("su", f"pam_unix(su:auth): {PAM}"),
        ("su", f"pam_sss(su:auth): {PAM}"),
        ("su", "pam_unix(su:session): session closed for user root"),
        ("CRON", "pam_unix(cron:session): session closed for user root"),
        ("login", "pam_unix(login:auth): authentication failure; logname=LOGIN uid=0 euid=0 tty=tty1 ruser= rhost="),
        ("kernel", "Failed password for root from 192.0.2.1 port 22 ssh2"),
    ],
)
def test_what_repeats_or_is_no_attempt_does_not_count(program: str, text: str) -> None:
    assert code(program, text) is None


def test_old_login_counts_its_own_line_and_not_the_pam_line() -> None:
    text = "authentication failure; logname=LOGIN uid=0 euid=0 tty=tty1 ruser= rhost=  user=root"
    assert code("login", text, "pam_unix") is None


def test_a_command_of_sudo_is_an_admin_action() -> None:
    text = "     ann : TTY=pts/0 ; PWD=/home/ann ; USER=root ; COMMAND=/bin/sh -c 'a ; USER=x ; COMMAND=y'"
    assert meaning("sudo", None, text).fields == {
        "event": "ADMIN_ACTION",
        "userId": "ann",
        "tty": "pts/0",
        "target_user": "root",
    }


@pytest.mark.parametrize("what", ["user NOT in sudoers", "command not allowed", "user NOT authorized on host"])
def test_sudo_by_someone_who_may_not_is_a_privilege_escalation_attempt(what: str) -> None:
    fields = meaning("sudo", None, f"eve : {what} ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh").fields
    assert (fields["event"], fields["userId"], fields["reason"]) == ("PRIVILEGE_ESCALATION_ATTEMPT", "eve", what)


@pytest.mark.parametrize(
    ("text", "user", "address"),
    [
        ("FAILED LOGIN (1) on '/dev/tty1' FOR 'bob', Authentication failure", "bob", None),
        (
            "FAILED LOGIN (2) on '/dev/pts/1' from 'host.example' FOR 'a, b', Authentication failure",
            "a, b",
            "host.example",
        ),
        ("FAILED LOGIN 1 FROM 192.0.2.1 FOR bob, Authentication failure", "bob", "192.0.2.1"),
        ("FAILED LOGIN 1 FROM (null) FOR root, Authentication failure", "root", None),
        ("FAILED LOGIN SESSION FROM tty1 FOR bob, Error in service module", "bob", "tty1"),
        ("TOO MANY LOGIN TRIES (3) on '/dev/tty1' FOR 'bob'", "bob", None),
        ("FAILED LOGIN (1) on '/dev/tty1' FOR 'x' FOR 'y', Authentication failure", "x' FOR 'y", None),
    ],
)
def test_a_failure_of_login_is_one_login_failure(text: str, user: str, address: str | None) -> None:
    fields = meaning("login", None, text).fields
    assert (fields["event"], fields["userId"], fields.get("ip")) == (FAILURE, user, address)


def test_success_of_login_and_end_of_a_session() -> None:
    assert meaning("login", None, "LOGIN ON tty1 BY ann").fields["userId"] == "ann"
    assert meaning("login", None, "ROOT LOGIN ON tty2").fields["userId"] == "root"
    fields = meaning("sshd", None, "pam_unix(sshd:session): session closed for user ann").fields
    assert fields == {"event": "LOGOUT", "userId": "ann"}


@pytest.mark.parametrize(
    ("program", "begin", "unit", "end"),
    [
        ("sshd", "Failed password for invalid user ", " from a", ""),
        ("sshd", "Failed password for ", "x from 1 port 2 ssh2: R-CERT S ID ", ""),
        ("sshd", "pam_unix(sshd:auth): authentication failure; ", "logname= uid= ", ""),
        ("login", "FAILED LOGIN (1)", " FOR '", ""),
        ("login", "LOGIN ON a BY ", " FROM a", ""),
        ("sudo", "a : ", "TTY= ; ", ""),
        ("sudo", "", " ", ""),
        ("su", "FAILED SU (to ", ") on ", " "),
        ("su", "FAILED su for ", " by ", ""),
        ("sshd", "error: PAM: a", " for a from b", " "),
        ("sshd", "Connection closed by invalid user", " 1.1.1.1 port 2", " "),
        ("sshd", "Disconnecting authenticating user", " 1.1.1.1 port 2: ", ""),
        ("sshd", "User ", " from a not allowed because", ""),
        ("login", "'", "' logged in  on '", ""),
    ],
)
def test_the_work_grows_with_the_length_of_a_message_alone(program: str, begin: str, unit: str, end: str) -> None:
    def reading(length: int) -> Callable[[], object]:
        return partial(meaning, program, None, begin + unit * (length // len(unit)) + end)

    assert grows_linearly(reading, 7_500)
