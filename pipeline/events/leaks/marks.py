"""What the second opinion knows of redaction: the marks that it leaves, and how far around one it looks."""

REDACTED = "[REDACTED]"
LEFT_OUT = frozenset({REDACTED, "[TRUNCATED]", "[CYCLE]"})

NEAR = 500
"""Characters around a mark that are looked at, so that a hostile text costs no more than its length."""
