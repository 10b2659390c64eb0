"""Logins to one account from two places that nobody can travel between in that time.

Needs `source.geo.location`, from the application or from `SIEMLITE_GEOIP`. Places within 700 km of each other
are taken for one: a mobile operator's addresses are located where its network ends, often in another city of the
country, and the owner's computer is at home.

Not seen: a login from a near country, which new_country_for_account tells.

Triage: which of the two places is the owner's? Is the other a VPN, a proxy of the company, a mobile network? If
neither explains it, end both sessions and reset the password.
False positives: VPNs, company proxies, addresses that are located wrongly, shared accounts.
"""

from pipeline.detection import Custom, Severity, Window, event, hours, minutes
from pipeline.detection.geo import distance_km, place

FASTEST_KM_PER_HOUR = 1000
SAME_PLACE_KM = 700
LOCATION = "source.geo.location"


def faster_than_an_airliner(window: Window) -> bool:
    """Judge the latest logins against the last one from each other place of the window."""
    last = {window.value(row, LOCATION): row.time_ms for row in window.rows}
    for latest in window.latest:
        here = place(window.value(latest, LOCATION))
        for tile, time_ms in last.items():
            there = place(tile)
            if here is None or there is None:
                continue
            distance = distance_km(here, there)
            passed = (latest.time_ms - time_ms) / hours(1)
            if distance > SAME_PLACE_KM and distance > passed * FASTEST_KM_PER_HOUR:
                return True
    return False


BERLIN = {LOCATION: {"lat": 52.52, "lon": 13.4}}
HAMBURG = {LOCATION: {"lat": 53.55, "lon": 9.99}}
MUNICH = {LOCATION: {"lat": 48.14, "lon": 11.58}}
LONDON = {LOCATION: {"lat": 51.51, "lon": -0.13}}
SYDNEY = {LOCATION: {"lat": -33.87, "lon": 151.21}}
ANTIPODES = ({LOCATION: {"lat": 0.0, "lon": 0.0}}, {LOCATION: {"lat": 0.0, "lon": 179.9}})

detection = Custom(
    severity=Severity.HIGH,
    attack=("T1078",),
    where={"event.code": "LOGIN_SUCCESS"},
    group_by="user.id",
    judge=faster_than_an_airliner,
    fields=(LOCATION,),
    within=hours(20),
    suppress_for=hours(24),
    fires=[
        event(BERLIN) + event(LONDON, at=minutes(30)),
        event(BERLIN) + event(SYDNEY, at=hours(10)),
        event(ANTIPODES[0]) + event(ANTIPODES[1], at=hours(20) - 1),
    ],
    quiet=[
        event(HAMBURG) + event(MUNICH, at=minutes(1)),
        event(BERLIN) + event(SYDNEY, at=hours(17)),
        event(ANTIPODES[0]) + event(ANTIPODES[1], at=hours(20)),
        event(BERLIN) + event({**SYDNEY, "event.code": "LOGIN_FAILURE"}, at=hours(1)),
        event(BERLIN) + event({LOCATION: None}, at=hours(1)),
    ],
)
