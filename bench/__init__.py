"""Benchmarks: siemlite beside its peers, on the same events, template, server and machine."""
