"""Messages of Cisco's devices, which put a sequence number, a host and marks around a time of their own form.

    45: *Nov 26 10:00:00.456: %SYS-5-CONFIG_I: Configured from console
    46: router1: Nov 26 2026 10:00:00.456 UTC: %SEC_LOGIN-4-LOGIN_FAILED: Login failed
    Nov 26 2026 10:00:00: %ASA-6-605004: Login denied

Source: Cisco IOS System Message Guide, "How to Read System Messages", and Cisco ASA Syslog Messages, "Timestamp". The
facility is the program, so that a device's services do not have the names of sequence numbers. Invariant: linear.
"""

import re
from typing import NamedTuple

_MESSAGE = re.compile(
    r"(?:\d{1,10}: )?(?:(?P<host>[A-Za-z][\w.-]{0,254}): )?[*.]?"
    r"(?P<month>[A-Z][a-z]{2}) {1,2}(?P<day>\d{1,2}) (?:(?P<year>\d{4}) )?(?P<time>\d\d:\d\d:\d\d)(?:\.\d{1,9})?"
    r"(?: (?P<zone>[A-Z]{3,5}))?(?: (?P<later>[A-Za-z][\w.-]{0,254}))? ?: ?"
    r"(?P<text>%(?P<facility>[A-Z][A-Z0-9_-]{0,63}?)-[0-7]-[A-Z0-9_]{1,64}: .*)",
    re.DOTALL,
)
_UNIVERSAL = frozenset({"UTC", "GMT"})


class CiscoMessage(NamedTuple):
    """`time` is `Nov 26 10:00:00`; `year` where it names one; `universal` where it says that it is in UTC."""

    host: str | None
    time: str
    year: int | None
    universal: bool
    facility: str
    text: str


def cisco_message(body: str) -> CiscoMessage | None:
    """Return what a message in the form of Cisco's says, or None where it has another."""
    match = _MESSAGE.fullmatch(body)
    if match is None:
        return None
    year = match["year"]
    return CiscoMessage(
        match["host"] or match["later"],
        f"{match['month']} {match['day']:>2} {match['time']}",
        None if year is None else int(year),
        match["zone"] in _UNIVERSAL,
        match["facility"],
        match["text"],
    )
