"""What the embedded server is configured with, as the text of its files. Pure.

Invariants: it listens on loopback only; its log is bounded; no copy of its memory is written to disk when it
runs out of it, since that copy would hold events.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"

_LOG4J = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ${sys:es.logs.base_path}${sys:file.separator}server.log
appender.file.filePattern = ${sys:es.logs.base_path}${sys:file.separator}server-%i.log.gz
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 4
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What may differ from node to node: the heap in MiB, further JVM options, the node's name, settings and files.

    `settings` win over ours: `discovery.type` set to None is left out, for a node of a larger cluster. `files` are
    texts by their path in the configuration folder, such as `roles.yml`.
    """

    heap_mb: int = 512
    jvm: tuple[str, ...] = ()
    name: str = "siemlite"
    settings: Mapping[str, str | int | bool | list[str] | None] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The text of each file in the server's configuration folder, by its path there."""

    files: Mapping[str, str]


def configure(
    *, data: Path, logs: Path, http_port: int, transport_port: int, jvm_options: str, options: ServerOptions
) -> Configuration:
    """Return the configuration of one node; `jvm_options` is the text of the server's own file, which ours amends."""
    settings: dict[str, str | int | bool | list[str] | None] = {
        "cluster.name": "siemlite",
        "node.name": options.name,
        "discovery.type": "single-node",
        "network.host": LOOPBACK,
        "http.port": http_port,
        "transport.port": transport_port,
        "xpack.security.enabled": False,
        # Without a password, a web page open in a browser on this machine could give it orders: requests that name
        # an origin are refused, all of them.
        "http.cors.enabled": True,
        "http.cors.allow-origin": "https://nobody.invalid",
        # A nearly full disk is the machine's owner's business; by default it would make every index read-only.
        "cluster.routing.allocation.disk.threshold_enabled": False,
        "path.data": str(data),
        "path.logs": str(logs),
    }
    settings.update(options.settings)
    # Each value as JSON, which YAML reads alike, so that no path can break out of its line.
    lines = [
        f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in settings.items() if value is not None
    ]
    jvm = [
        f"-Xms{options.heap_mb}m",
        f"-Xmx{options.heap_mb}m",
        "-XX:-HeapDumpOnOutOfMemoryError",
        "-Xlog:disable",  # its own default keeps up to 2 GB of garbage collection logs
        "-Xlog:all=warning:stderr:utctime,level,tags",
        *options.jvm,
    ]
    return Configuration(
        {
            "elasticsearch.yml": "\n".join(lines) + "\n",
            "jvm.options": jvm_options,
            "jvm.options.d/siemlite.options": "\n".join(jvm) + "\n",
            "log4j2.properties": _LOG4J,
            **dict.fromkeys(("users", "users_roles", "roles.yml", "role_mapping.yml"), ""),
            **options.files,
        }
    )
