"""Logging stopped, or a log removed, with sudo.

Looks at the words of the commands that sudo logs: a service that logs being stopped, disabled or masked, auditing
switched off, files of `/var/log` removed or emptied.

Triage: is there a ticket? Ask who did it, by another way than the account. If nobody of yours did: take the host off
the network and keep its disk; what the host logged before is in Elasticsearch and cannot be removed from there by its
root. What it logs no longer is told by host_silent.
Not seen: what is done in a shell of root's, which sudo logs as that shell alone.
False positives: maintenance; an update of the logging services; another file removed while in a folder of `/var/log`.
"""

from pipeline.detection import Match, Severity, all_of, any_of, event, hours, phrase

NAMES = ("siemlite", "rsyslog", "auditd", "filebeat", "systemd journald", "syslog")
UNITS = (*NAMES, *(f"{name}.service" for name in NAMES), "syslog.socket", "systemd journald.socket")
"""As Elasticsearch parts words: at a hyphen, not at a dot between letters."""

SUDO = "anna : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND="

detection = Match(
    severity=Severity.HIGH,
    attack=("T1562.001", "T1070.002"),
    where=all_of(
        {"event.code": "ADMIN_ACTION", "service.name": "sudo"},
        any_of(
            all_of({"message": phrase("stop", "disable", "mask")}, {"message": phrase(*UNITS)}),
            all_of({"message": phrase("bin rm", "c rm", "bin shred", "bin truncate")}, {"message": phrase("var log")}),
            {"message": phrase("auditctl e 0", "auditctl e0", "auditctl D")},
        ),
    ),
    group_by=("host.name", "user.id"),
    suppress_for=hours(4),
    fires=[
        *(event({"message": f"{SUDO}/usr/bin/systemctl stop {unit}"}) for unit in UNITS),
        event({"message": f"{SUDO}/usr/bin/systemctl stop siemlite-ship.service"}),
        event({"message": f"{SUDO}/usr/bin/systemctl disable --now auditd"}),
        event({"message": f"{SUDO}/usr/bin/systemctl mask --now systemd-journald.service"}),
        event({"message": f"{SUDO}/usr/sbin/service rsyslog stop"}),
        event({"message": f"{SUDO}/usr/bin/truncate -s0 /var/log/auth.log"}),
        event({"message": f"{SUDO}/usr/bin/rm -fr /var/log/audit"}),
        event({"message": f"{SUDO}/bin/sh -c 'rm -r /var/log/audit'"}),
        event({"message": f"{SUDO}/usr/bin/shred -u /var/log/auth.log"}),
        event({"message": f"{SUDO}/usr/sbin/auditctl -e 0"}),
        event({"message": f"{SUDO}/usr/sbin/auditctl -e0"}),
        event({"message": f"{SUDO}/usr/sbin/auditctl -D"}),
    ],
    quiet=[
        event({"message": f"{SUDO}/usr/bin/systemctl restart rsyslog"}),
        event({"message": f"{SUDO}/usr/bin/systemctl stop nginx"}),
        event({"message": f"{SUDO}/usr/bin/tail -f /var/log/auth.log"}),
        event({"message": f"{SUDO}/usr/bin/rm /tmp/auth.log"}),
        event({"message": f"{SUDO}/usr/bin/docker run --rm -v /var/log:/var/log:ro promtail"}),
        event({"message": f"{SUDO}/usr/bin/systemctl stop rsyslog", "event.code": "PRIVILEGE_ESCALATION_ATTEMPT"}),
        event({"message": f"{SUDO}/usr/bin/systemctl stop rsyslog", "service.name": "su"}),
    ],
)
