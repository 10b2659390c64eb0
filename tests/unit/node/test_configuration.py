"""The server's configuration keeps its promises whatever paths it is given."""

from pathlib import Path

import yaml

from pipeline.node.configuration import ServerOptions, configure


def settings_of(options: ServerOptions, data: Path = Path("/home/a/node/data")) -> dict[str, object]:
    files = configure(
        data=data, logs=Path("/logs"), http_port=21_000, transport_port=21_001, jvm_options="-Xss1m\n", options=options
    ).files
    loaded: dict[str, object] = yaml.safe_load(files["elasticsearch.yml"])
    return loaded


def test_the_server_listens_on_loopback_only_at_the_given_ports() -> None:
    settings = settings_of(ServerOptions())
    assert settings["network.host"] == "127.0.0.1"
    assert settings["http.port"] == 21_000
    assert settings["transport.port"] == 21_001
    assert settings["discovery.type"] == "single-node"


def test_a_path_cannot_break_out_of_its_line() -> None:
    hostile = Path('/tmp/a: b"\nnetwork.host: 0.0.0.0 #é𝄞')
    settings = settings_of(ServerOptions(), data=hostile)
    assert settings["path.data"] == str(hostile)
    assert settings["network.host"] == "127.0.0.1"


def test_options_win_and_none_leaves_a_setting_out() -> None:
    settings = settings_of(
        ServerOptions(name="node-1", settings={"discovery.type": None, "discovery.seed_hosts": ["127.0.0.1:1"]})
    )
    assert "discovery.type" not in settings
    assert settings["node.name"] == "node-1"
    assert settings["discovery.seed_hosts"] == ["127.0.0.1:1"]


def test_memory_is_bounded_and_never_dumped_and_the_log_is_bounded() -> None:
    files = configure(
        data=Path("/d"),
        logs=Path("/l"),
        http_port=1,
        transport_port=2,
        jvm_options="-Xss1m\n",
        options=ServerOptions(heap_mb=256, jvm=("-XX:TieredStopAtLevel=1",)),
    ).files
    jvm = files["jvm.options.d/siemlite.options"].splitlines()
    assert {"-Xms256m", "-Xmx256m", "-XX:-HeapDumpOnOutOfMemoryError", "-XX:TieredStopAtLevel=1"} <= set(jvm)
    assert files["jvm.options"] == "-Xss1m\n"
    assert "SizeBasedTriggeringPolicy" in files["log4j2.properties"]
