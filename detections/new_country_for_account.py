"""Login to an account from a country that it has not been used from for a month.

Needs `source.geo.country_iso_code`, from the application or from `SIEMLITE_GEOIP`. Of an account that nobody
logged in to for a month nothing is known, and its next country is taken for its own.

Triage: is the owner travelling? Is the address a VPN's or a hosting provider's? What did the session do? If the
owner does not know the login, end the session and reset the password.
False positives: journeys, VPNs, mobile networks that leave in a neighbouring country.
"""

from pipeline.detection import NewValue, Severity, burst, days, event, hours, late

GERMANY = {"source.geo.country_iso_code": "DE"}
BRAZIL = {"source.geo.country_iso_code": "BR"}

detection = NewValue(
    severity=Severity.MEDIUM,
    attack=("T1078",),
    where={"event.code": "LOGIN_SUCCESS"},
    group_by="user.id",
    fields="source.geo.country_iso_code",
    over=days(30),
    suppress_for=hours(24),
    fires=[
        burst(5, every=days(1), fields=GERMANY) + event(BRAZIL, at=days(5)),
        event(BRAZIL) + burst(6, every=days(5), fields=GERMANY) + event(BRAZIL, at=days(30)),
        event(BRAZIL, at=hours(1)) + late(event(GERMANY)),
    ],
    quiet=[
        event(BRAZIL),
        event(BRAZIL) + burst(6, every=days(5), fields=GERMANY) + event(BRAZIL, at=days(30) - 1),
        event(GERMANY) + event({**BRAZIL, "event.code": "LOGIN_FAILURE"}, at=hours(1)),
        event(GERMANY) + event({**GERMANY, "source.address": "198.51.100.9"}, at=hours(1)),
    ],
)
