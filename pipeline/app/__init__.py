"""The composition root: which object is built from which, and from which setting.

Invariant: nothing else wires, and nothing here decides: every rule lies in the room that it concerns.
"""
