"""What siemlite is measured against: each peer as one would set it up to be fast."""
