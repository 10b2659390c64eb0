"""Logging stopped, or a log removed, with sudo.

Looks at the commands that sudo logs: services that log being stopped, disabled or masked, auditing switched off, files
of `/var/log` removed or emptied.

Triage: is there a ticket? Ask who did it, by another way than the account. If nobody of yours did: take the host off
the network and keep its disk; what the host logged before is in Elasticsearch and cannot be removed from there by its
root. What it logs no longer is told by host_silent.
Not seen: what is done in a shell of root's, which sudo logs as that shell alone.
False positives: maintenance; an update of the logging services.
"""

from pipeline.detection import Match, Severity, event, hours, phrase

SERVICES = ("siemlite", "rsyslog", "auditd", "systemd journald", "filebeat")
COMMANDS = (
    *(f"{verb} {service}" for verb in ("stop", "disable", "disable now", "mask") for service in SERVICES),
    *("auditctl e 0", "auditctl D", "rm var log", "rm f var log", "rm rf var log", "truncate s 0 var log"),
)
SUDO = "anna : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND="

detection = Match(
    severity=Severity.HIGH,
    attack=("T1562.001", "T1070.002"),
    where={"event.code": "ADMIN_ACTION", "process.name": "sudo", "message": phrase(*COMMANDS)},
    group_by=("host.name", "user.id"),
    suppress_for=hours(4),
    fires=[
        *(event({"message": f"{SUDO}/usr/bin/{command}"}) for command in COMMANDS),
        event({"message": f"{SUDO}/usr/bin/systemctl stop siemlite-ship"}),
        event({"message": f"{SUDO}/usr/bin/systemctl disable --now auditd"}),
        event({"message": f"{SUDO}/usr/bin/truncate -s 0 /var/log/auth.log"}),
        event({"message": f"{SUDO}/usr/bin/rm -rf /var/log/audit"}),
        event({"message": f"{SUDO}/usr/sbin/auditctl -e 0"}),
    ],
    quiet=[
        event({"message": f"{SUDO}/usr/bin/systemctl restart rsyslog"}),
        event({"message": f"{SUDO}/usr/bin/tail -f /var/log/auth.log"}),
        event({"message": f"{SUDO}/usr/bin/systemctl stop rsyslog", "event.code": "PRIVILEGE_ESCALATION_ATTEMPT"}),
        event({"message": f"{SUDO}/usr/bin/systemctl stop rsyslog", "process.name": "su"}),
    ],
)
