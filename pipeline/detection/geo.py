"""Places on the globe, for `Custom` detections that compare them.

A `geo_point` column comes as the name of its finest tile in the Web Mercator grid (`29/x/y`, less than ten
centimetres wide at the equator; the tile names are those of OpenStreetMap's slippy map).
"""

from math import asin, atan, cos, degrees, pi, radians, sin, sinh, sqrt

EARTH_RADIUS_KM = 6371.0088
"""The mean radius of the Earth, by IUGG."""


def place(tile: object) -> tuple[float, float] | None:
    """Return latitude and longitude in degrees of a tile's centre; None for what is no tile."""
    if not isinstance(tile, str):
        return None
    try:
        zoom, x, y = (int(part) for part in tile.split("/"))
    except ValueError:
        return None
    tiles = 1 << zoom
    return degrees(atan(sinh(pi * (1 - 2 * (y + 0.5) / tiles)))), (x + 0.5) / tiles * 360 - 180


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the length of the great circle between two places, by the haversine formula."""
    lat_one, lon_one, lat_other, lon_other = (radians(angle) for angle in (*one, *other))
    chord = sin((lat_other - lat_one) / 2) ** 2 + cos(lat_one) * cos(lat_other) * sin((lon_other - lon_one) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(chord)))
