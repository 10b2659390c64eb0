"""Redaction: what keeps secrets out of everything that siemlite writes.

An event passes in two steps. `Redactor.keys` makes any value a JSON-safe tree and replaces what stands under
a sensitive name (`names` holds the table). After the event has its shape and is serialised,
`Redactor.suspects` scans the bytes of a whole batch for what may be a secret in a value, and
`Redactor.values` redacts within values where it says so. `Redactor.text` does the same for a line that is no
JSON, or broken JSON.

Invariants: nothing here has state that an event can change but bounded memories of verdicts; no input is
changed; every pattern works in time linear in the length of its text.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from pipeline.events.redaction.names import Names
from pipeline.events.redaction.plain import CYCLE, MARKER, TRUNCATED, Plain, Plainer
from pipeline.events.redaction.scan import Scan
from pipeline.events.redaction.texts import Texts

__all__ = ["CYCLE", "MARKER", "TRUNCATED", "Plain", "Redactor"]


class Redactor:
    """Redacts. Safe to share between threads, and after a fork.

    `extra_keys` are further names of secrets: of up to four letters as whole words, longer ones wherever they
    stand in a name; the defaults stay. Raises `ConfigurationError` for one that is no name.

    - `is_sensitive(key)`: whether a value of that name is a secret.
    - `keys(value)`: any value as a JSON-safe tree without what stands under sensitive names. Sub-trees that
      need no change are shared with the input, so serialise it before the input may change.
    - `verdicts[name]`: whether a name is `PLAIN`, `SENSITIVE`, or `SPECIAL` (needs a look at what stands around it).
    - `nested(value, containers)`: as `keys`, of a value that stands within `containers`, the outermost first.
    - `suspects(bodies)`: the positions, in order, of those serialised documents (each on one line, keys
      redacted) that `values` might change. None is passed over.
    - `values(tree)`: a plain tree with the secrets in its keys, texts and numbers replaced; the tree itself
      where there are none.
    - `text(line)`: a line of text with the secrets in it replaced.
    """

    __slots__ = ("is_sensitive", "keys", "nested", "suspects", "text", "values", "verdicts")

    def __init__(self, extra_keys: Iterable[str] = ()) -> None:
        names = Names(extra_keys)

        def redact_text(text: str) -> str:
            return self.text(text)

        plainer = Plainer(names, redact_text)
        texts = Texts(names.is_sensitive, plainer.plain, MARKER, TRUNCATED)
        self.is_sensitive: Callable[[str], bool] = names.is_sensitive
        self.verdicts: Mapping[str, int] = names.verdicts
        self.nested: Callable[[object, tuple[object, ...]], Plain] = plainer.nested
        self.keys: Callable[[object], Plain] = plainer.plain
        self.suspects: Callable[[Sequence[bytes]], Sequence[int]] = Scan(names.stems()).suspects
        self.text: Callable[[str], str] = texts.text
        self.values: Callable[[Plain], Plain] = texts.values
