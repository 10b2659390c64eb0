"""Where the values of the headers `Authorization` and `Cookie` end in free text (RFC 9110, RFC 6265).

Invariant: linear work; what follows the value on the same line stays.
"""

import re

from pipeline.events.redaction.endings import bare_end

_SCHEMES = frozenset(
    {
        "apikey",
        "aws4-hmac-sha256",
        "basic",
        "bearer",
        "digest",
        "dpop",
        "googlelogin",
        "hawk",
        "hoba",
        "key",
        "mac",
        "negotiate",
        "ntlm",
        "oauth",
        "sharedkey",
        "sharedkeylite",
        "splunk",
        "ssws",
        "token",
        "vapid",
    }
)
_SCHEME = re.compile(r"([A-Za-z][\w-]{1,30})[ \t]++(?=[^\s-])")
_PARAMETERS = re.compile(r"(?:,?[ \t]*+[\w.\-]{1,64}=(?:\"[^\"]*+\"?|\\+\"[^\"\\]*+(?:\\+\")?|[^\s,\"'\\]*+))++")
_COOKIE_VALUE = r"(?:\\*\"[^\"\\]*+\\*\"|[^\s;\"'\\]*+)"
_COOKIES = re.compile(
    rf"[^\s;,\"'\\=]++(?:={_COOKIE_VALUE})?"
    rf"(?:;[ \t]*+(?:expires=[A-Za-z]{{3}},? [\w: -]{{10,30}}GMT|[^\s;,\"'\\=]++(?:={_COOKIE_VALUE})?))*+;?",
    re.IGNORECASE,
)


def cookies_end(text: str, at: int) -> int:
    """Return the end of the cookies, or of the cookie and its attributes, that begin at `at`."""
    found = _COOKIES.match(text, at)
    return at if found is None else found.end()


def credentials_end(text: str, at: int, *, header: bool) -> int:
    """Return the end of credentials with a scheme that begin at `at`; `at` where there is no scheme.

    In an `Authorization` `header` any first word of two is a scheme.
    """
    scheme = _SCHEME.match(text, at)
    if scheme is None or not (header or scheme[1].lower() in _SCHEMES):
        return at
    parameters = _PARAMETERS.match(text, scheme.end())
    return max(bare_end(text, scheme.end()), at if parameters is None else parameters.end())
