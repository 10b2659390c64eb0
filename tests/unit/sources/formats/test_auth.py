"""What a message of sshd, sudo, su or login means, and what it does not."""

import time

import pytest

from pipeline.sources.formats.auth import meaning

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
        ("Failed keyboard-interactive/pam for root from 192.0.2.1 port 22 ssh2", "root", "192.0.2.1", None),
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
        "error: PAM: Authentication failure for root from 192.0.2.1",
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


def test_the_user_and_address_of_an_accompanying_line_are_kept() -> None:
    assert meaning("sshd", None, "Invalid user bob from 192.0.2.1").fields == {"userId": "bob", "ip": "192.0.2.1"}
    text = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=a.example  user=x"
    assert meaning("sshd", None, text).fields == {"userId": "x", "ip": "a.example", "tty": "ssh"}


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
    text = (
        "pam_unix(su:auth): 1 more authentication failure; logname=a uid=1 euid=0 tty=pts/0 ruser=a rhost=  user=root"
    )
    assert (code("su", text), meaning("su", None, text).times) == (FAILURE, 1)


def test_a_user_name_in_a_pam_line_cannot_forge_an_address() -> None:
    text = "authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=x rhost=192.0.2.99"
    fields = meaning("sshd", "pam_unix", text).fields
    assert (fields["ip"], fields["userId"]) == ("192.0.2.1", "x rhost=192.0.2.99")


@pytest.mark.parametrize("program", ["su", "sudo"])
def test_for_su_and_sudo_the_pam_line_is_the_attempt(program: str) -> None:
    rest = "logname=ann uid=1000 euid=0 tty=/dev/pts/0 ruser=ann rhost=  user=root"
    found = meaning(program, None, f"pam_unix({program}:auth): authentication failure; {rest}")
    assert found.fields["event"] == FAILURE
    assert (found.fields["userId"], found.fields["ruser"]) == ("root", "ann")
    assert "ip" not in found.fields


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("sudo", "ann : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls"),
        ("sudo", "ann : a password is required ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls"),
        ("sudo", "pam_unix(sudo:auth): auth could not identify password for [ann]"),
        ("sudo", "pam_unix(sudo:session): session closed for user root"),
        ("su", "FAILED SU (to root) ann on pts/0"),
        ("su", "FAILED su for root by ann"),
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


def test_no_message_takes_long() -> None:
    length = 60_000
    hostile = [
        ("sshd", "Failed password for invalid user " + " from a" * (length // 7)),
        ("sshd", "Failed password for " + "x from 1 port 2 ssh2: R-CERT S ID " * (length // 34)),
        ("sshd", "pam_unix(sshd:auth): authentication failure; " + "logname= uid= " * (length // 14)),
        ("login", "FAILED LOGIN (1)" + " FOR '" * (length // 6)),
        ("login", "LOGIN ON a BY " + " FROM a" * (length // 7)),
        ("sudo", "a : " + "TTY= ; " * (length // 7)),
        ("sudo", " " * length),
    ]
    for program, text in hostile:
        started = time.process_time()
        meaning(program, None, text)
        assert time.process_time() - started < 0.5, text[:40]
