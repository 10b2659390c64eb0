"""Loading detections from folders of Python files.

A detection file is content: it is executed by path, under a name of its own that is not left in
`sys.modules`, and always from its source, so that an edit within the same second is seen. Invariants: a file
that cannot be loaded, whatever it does, is a `ConfigurationError` naming file and repair, and costs no other
detection; an id stands for one detection, that of the last folder that has it, and `detection = None` there
switches off the one of a folder before.
"""

import importlib.machinery
import importlib.util
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from types import CodeType, ModuleType

import orjson

import pipeline
from pipeline import detection as detection_language
from pipeline.detection.detection import Detection
from pipeline.detection.kind import Kind
from pipeline.engine.mappings import fields_of
from pipeline.errors import ConfigurationError

BUILT_IN = Path(pipeline.__file__).parent.parent / "detections"
LOAD_SECONDS = 10.0
"""How long a file may take."""

_ID = re.compile(r"[a-z][a-z0-9_]{0,99}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The detections that could be loaded, by id in order, and an error for each file that could not.

    `broken` has the errors of those files, by the id that each would have; `replaced` are the ids whose file in a later
    folder took the place of another, and `off` those that one switched off.
    """

    detections: tuple[Detection, ...]
    failures: tuple[ConfigurationError, ...] = ()
    broken: Mapping[str, ConfigurationError] = field(default_factory=dict)
    replaced: tuple[str, ...] = ()
    off: tuple[str, ...] = ()

    def __getitem__(self, detection_id: str) -> Detection:
        """Return the detection `detection_id`.

        Raises `ConfigurationError` that says why it could not be loaded, or which it may mean.
        """
        for detection in self.detections:
            if detection.id == detection_id:
                return detection
        if detection_id in self.broken:
            raise self.broken[detection_id]
        raise ConfigurationError(f"there is no detection {detection_id!r}; {self.meant(detection_id)}")

    def meant(self, detection_id: str) -> str:
        """Return which detections somebody who typed `detection_id` may mean: the nearest, else all there are."""
        known = [detection.id for detection in self.detections]
        near = get_close_matches(detection_id, known)
        return f"did you mean {' or '.join(near)}?" if near else f"known are: {', '.join(known) or 'none'}"


def folders(own: Path | None) -> tuple[Path, ...]:
    """Return where detections are: the built-in folder, and `own` (`SIEMLITE_DETECTIONS`) where it is set."""
    if own is None:
        return (BUILT_IN,)
    if not own.is_dir():
        raise ConfigurationError(f"SIEMLITE_DETECTIONS is {own}, which is not a folder; make it or unset the variable")
    return (BUILT_IN, own)


def not_loaded(folder: Path) -> Iterator[str]:
    """Yield what lies in `folder` and looks like detections, but is not loaded, and why."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__")):
            continue
        if path.is_dir():
            files = sum(1 for _ in path.rglob("*.py"))
            if files:
                yield f"{path} is a folder, of which no file is loaded ({files} *.py); move them to {folder} itself"
        elif path.suffix == ".py" and path.name.startswith("_"):
            yield f"{path} begins with an underscore and is not loaded"
        elif path.suffix.lower() in (".py", ".yml", ".yaml", ".toml") and path.suffix != ".py":
            yield f"{path} is not loaded; a detection is a file that ends in .py"


def load_detections(where: Sequence[Path]) -> Loaded:
    """Load every `*.py` of the folders `where` whose name does not begin with an underscore."""
    found: dict[str, Detection] = {}
    failures: list[ConfigurationError] = []
    broken: dict[str, ConfigurationError] = {}
    replaced: list[str] = []
    off: list[str] = []
    for path in [path for folder in where for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")]:
        name = path.stem
        try:
            detection = load_detection(path)
        except ConfigurationError as error:
            failures.append(error)
            broken[name] = error
            continue
        if detection is not None:
            if name in found:
                replaced.append(name)
            found[name] = detection
        elif found.pop(name, None) is not None:
            off.append(name)
        else:
            failures.append(ConfigurationError(f"{path}: `detection` is None, and there is no {name} to switch off"))
    loaded = tuple(found[name] for name in sorted(found))
    return Loaded(loaded, tuple(failures), broken, tuple(replaced), tuple(off))


def load_detection(path: Path) -> Detection | None:
    """Load one file, None where its `detection` is None.

    Raises `ConfigurationError` naming it, the field or line, and the repair.
    """
    if _ID.fullmatch(path.stem) is None:
        raise ConfigurationError(f"{path}: name the file in lower case letters, digits and underscores: it is the id")
    if not path.is_file():
        raise ConfigurationError(f"{path}: is not a file; move it away")
    module = _execute(path)
    if not hasattr(module, "detection"):
        raise ConfigurationError(f"{path}: has no `detection`; add `detection = Threshold(…)`")
    kind = module.detection
    if kind is None:
        return None
    if not isinstance(kind, Kind):
        raise ConfigurationError(
            f"{path}: `detection` is {_called(kind)}; make it a kind from pipeline.detection, such as Threshold"
        )
    _check_queries(path, kind)
    _check_fields(path, kind)
    title, guide = _words(path, module.__doc__)
    return Detection(path.stem, title, guide, path, kind)


def _called(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _check_queries(path: Path, kind: Kind) -> None:
    """Raise `ConfigurationError` where what the detection asks for cannot be said in JSON."""
    try:
        orjson.dumps([clause.query() for clause in (kind.clause, *kind.streams)])
    except TypeError as error:
        what = " ".join(str(error).split())[:200]
        raise ConfigurationError(f"{path}: where: {what}; use texts, and numbers of up to 64 bits") from None
    except Exception as error:  # noqa: BLE001 - an author's own clause may raise anything, and nesting has an end
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ConfigurationError(f"{path}: where: no query can be made of it: {what}; make it simpler") from None


def _check_fields(path: Path, kind: Kind) -> None:
    """Raise `ConfigurationError` where it cannot be said which fields the detection looks at."""
    try:
        names = fields_of(kind)
    except Exception as error:  # noqa: BLE001 - an author's own clause may raise anything
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ConfigurationError(f"{path}: where: it does not say which fields it looks at: {what}") from None
    for name in names:
        if not isinstance(name, str):
            raise ConfigurationError(f"{path}: where: {name!r} is no field's name; let `fields` return texts")


class _SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles the source each time: a cached compilation misses an edit within its clock's tick."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        return self.source_to_code(self.get_data(self.path), self.path)


def _execute(path: Path) -> ModuleType:
    """Execute a file in a thread of its own, which is left behind where the file does not come to an end."""
    done: list[ModuleType | ConfigurationError] = []

    def work() -> None:
        try:
            done.append(_executed(path))
        except ConfigurationError as error:
            done.append(error)

    thread = threading.Thread(target=work, name=f"loading {path.name}", daemon=True)
    thread.start()
    thread.join(LOAD_SECONDS)
    if not done:
        raise ConfigurationError(
            f"{path}: takes longer than {LOAD_SECONDS:g} s to load; let it define a detection and do nothing else"
        )
    if isinstance(done[0], ConfigurationError):
        raise done[0]
    return done[0]


def _executed(path: Path) -> ModuleType:
    name = f"siemlite_detection_{path.stem}"
    spec = importlib.util.spec_from_loader(name, _SourceLoader(name, str(path)))
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path}: cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    module.print = partial(print, file=sys.stderr)  # type: ignore[attr-defined]  # stdout is the commands' answers
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ConfigurationError(f"{path}:{error.lineno or 1}: syntax error: {error.msg}") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}:{_line(error, path)}: {error}") from None
    except TypeError as error:
        raise ConfigurationError(f"{path}:{_line(error, path)}: {_plain(error)}") from None
    except BaseException as error:  # noqa: BLE001 - whatever a file does, the others still load
        what = " ".join(str(error).split())[:300]
        raise ConfigurationError(f"{path}:{_line(error, path)}: {type(error).__name__}: {what}") from None
    return module


def _line(error: BaseException, path: Path) -> int:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] or 1 if lines else 1


def _plain(error: TypeError) -> str:
    text = " ".join(str(error).split())
    unexpected = re.fullmatch(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'.*", text)
    if unexpected:
        return f"{unexpected[1]} has no field {unexpected[2]!r}; {_meant(unexpected[1], unexpected[2])}"
    missing = re.fullmatch(r"(\w+)\.__init__\(\) missing \d+ required keyword-only arguments?: (.*)", text)
    if missing:
        return f"{missing[1]} needs {missing[2]}; add it"
    positional = re.fullmatch(r"(\w+)\.__init__\(\) takes 1 positional argument but .*", text)
    if positional:
        return f"{positional[1]} takes named fields only, such as at_least=5"
    return text


def _meant(kind: str, name: str) -> str:
    """Return what an author can do about a field that `kind` does not have."""
    found = getattr(detection_language, kind, None)
    if not (isinstance(found, type) and is_dataclass(found)):
        return "correct or remove it"
    common = {one.name for one in fields(Kind)}
    own = [one.name for one in fields(found) if one.name not in common]
    near = get_close_matches(name, [*own, *common], n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"beside those of all kinds it has {', '.join(own) or 'none'}"


def _words(path: Path, docstring: str | None) -> tuple[str, str]:
    if docstring is None or not docstring.strip():
        raise ConfigurationError(f"{path}: has no docstring; its first line is the title, the rest the triage guide")
    lines = [line.strip() for line in docstring.strip().splitlines()]
    for line in lines:
        if not line.isprintable():
            raise ConfigurationError(f"{path}: the docstring has characters that cannot be printed: {line!r}")
    title = lines[0].rstrip(".")
    if len(title) > 200:
        raise ConfigurationError(f"{path}: the title has {len(title)} characters; keep it below 200")
    return title, "\n".join(lines[1:]).strip()


def changes(where: Sequence[Path], ended: Callable[[], bool]) -> Iterator[frozenset[Path]]:
    """Yield all detection files of `where`, and then those that changed, each time some did, until `ended`."""
    known: dict[Path, tuple[int, int]] = {}
    first = True
    while first or not ended():
        now = {path: _stamp(path) for folder in where for path in folder.glob("*.py")}
        changed = frozenset(path for path, stamp in now.items() if known.get(path) != stamp)
        if first or changed or now.keys() != known.keys():
            yield changed
        known, first = now, False


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0)  # it went away between listing and looking; the next look sees that
    return (stat.st_mtime_ns, stat.st_size)
