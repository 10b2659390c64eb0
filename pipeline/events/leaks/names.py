"""Which names are those of secrets, listed once more for the second opinion.

Invariant: nothing is shared with the redactor's own list.
"""

from collections.abc import Iterator

NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
"""What a name is made of."""

NAME_MAX = 64
"""Characters of a name that are looked at."""

_ANYWHERE = (
    *("password", "passwd", "passphrase", "passcode", "secret", "token", "creditcard", "cardnumber", "apikey"),
    *("authorization", "cookie", "privatekey", "sessionid", "accesskey", "signingkey", "encryptionkey"),
)
_AS_A_WORD = frozenset({"ssn", "pin", "pwd", "cvv", "cvc", "otp", "jwt"})


_ABOUT = (
    *("attempt", "attempts", "count", "counts", "total", "length", "age", "at", "ttl", "expiry", "expires"),
    *("expiration", "type", "policy", "strength"),
)
"""How names end that tell of a secret and are none."""

_TOKENS_OF_TEXT = ("max", "min", "num", "prompt", "completion", "input", "output", "total", "used")
"""How names begin that count the tokens of a language model."""


def is_secret_name(name: str) -> bool:
    """Return whether a value named `name` is a secret."""
    domain, slash, rest = name.rpartition("/")
    if slash and rest and "." in domain:
        name = rest
    words = list(_words(name))
    if words and (words[-1] in _ABOUT or (words[-1] == "tokens" and words[0] in _TOKENS_OF_TEXT)):
        return False
    letters = "".join(character for character in name.lower() if character.isalnum())
    if letters.endswith(("keyid", "keyids")):
        letters = letters.rpartition("key")[0]
    return any(part in letters for part in _ANYWHERE) or any(word in _AS_A_WORD for word in words)


def _words(name: str) -> Iterator[str]:
    """Yield the words of a name in lower case: a change from lower to upper case begins one."""
    word = ""
    for at, character in enumerate(name):
        upper = character.isupper()
        after_lower = at > 0 and name[at - 1].islower()
        ends_capitals = at > 0 and name[at - 1].isupper() and name[at + 1 : at + 2].islower()
        if not character.isalpha() or (upper and (after_lower or ends_capitals)):
            if word:
                yield word
            word = ""
        if character.isalpha():
            word += character.lower()
    if word:
        yield word
