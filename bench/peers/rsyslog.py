"""rsyslog's omelasticsearch: reads a file of documents and sends them as they are.

Its queue lies in memory; it redacts nothing, gives no ids and keeps nothing over a crash. In rsyslog 8.2302,
Debian 12's, `searchType=""` leaves out the mapping type that Elasticsearch 8 refuses, and `bulkmode="on"` is not
the default.
"""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

MODULES = (
    "/usr/lib/x86_64-linux-gnu/rsyslog",
    "/usr/lib/aarch64-linux-gnu/rsyslog",
    "/usr/lib/rsyslog",
    "/usr/lib64/rsyslog",
)
INSTALL = "apt-get install rsyslog rsyslog-elasticsearch"
_TEMPLATE = Path(__file__).with_name("rsyslog.conf")


def program() -> str | None:
    """Return rsyslogd's path where it and its Elasticsearch module are installed."""
    found = shutil.which("rsyslogd", path="/usr/sbin:/usr/local/sbin:/sbin") or shutil.which("rsyslogd")
    return found if any(Path(folder, "omelasticsearch.so").exists() for folder in MODULES) else None


def configure(folder: Path, url: str, file: Path, index: str) -> list[str]:
    """Write a configuration into the empty `folder`; return the command that runs rsyslog on it in the foreground."""
    program_path = program()
    if program_path is None:
        raise FileNotFoundError("rsyslogd")
    parts = urlsplit(url)
    values = {"folder": folder, "host": parts.hostname, "port": parts.port, "file": file, "index": index}
    text = _TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    configuration = folder / "rsyslog.conf"
    configuration.write_text(text, encoding="utf-8")
    return [program_path, "-n", "-i", str(folder / "pid"), "-f", str(configuration)]
