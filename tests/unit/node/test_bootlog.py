"""Of all that a failing server says, the line that helps is told."""

import pytest

from pipeline.node.bootlog import reason

DIED = (
    "ERROR: Elasticsearch did not exit normally - check the logs at /x/siemlite.log\n\n"
    "ERROR: Elasticsearch died while starting up, with exit code 1\n"
)
UNKNOWN_SETTING = """\
[2026-01-01T00:00:00,000][INFO ][o.e.n.Node] node name [siemlite]
[2026-01-01T00:00:01,000][ERROR][o.e.b.Elasticsearch] fatal exception while booting Elasticsearch
java.lang.IllegalArgumentException: unknown setting [no.such.setting] please check
\tat org.elasticsearch.common.settings.AbstractScopedSettings.validate(AbstractScopedSettings.java:615)
\t... 12 more
"""
NESTED = """\
[2026-01-01T00:00:01,000][ERROR][o.e.b.Elasticsearch] fatal exception while booting Elasticsearch
org.elasticsearch.transport.BindTransportException: Failed to bind to 127.0.0.1:[9300]
\tat org.elasticsearch.transport.TcpTransport.bindToPort(TcpTransport.java:500)
Caused by: java.net.BindException: Address already in use
\tat java.base/sun.nio.ch.Net.bind0(Native Method)
[2026-01-01T00:00:02,000][INFO ][o.e.n.Node] stopping ...
[2026-01-01T00:00:02,000][INFO ][o.e.n.Node] closed
"""
BAD_OPTION = """\
java.lang.RuntimeException: starting java failed with [1]
output:

error:
Unrecognized VM option 'Nope'
Error: Could not create the Java Virtual Machine.
Error: A fatal exception has occurred. Program will exit.
\tat org.elasticsearch.server.cli.JvmOption.flagsFinal(JvmOption.java:125)
"""
SMALL_HEAP = """\
java.lang.RuntimeException: starting java failed with [1]
output:
Error occurred during initialization of VM
Too small maximum heap
error:
"""


@pytest.mark.parametrize(
    ("log", "console", "told"),
    [
        (UNKNOWN_SETTING, DIED, "java.lang.IllegalArgumentException: unknown setting [no.such.setting] please check"),
        (NESTED, DIED, "java.net.BindException: Address already in use"),
        ("", BAD_OPTION, "Unrecognized VM option 'Nope'"),
        ("", SMALL_HEAP, "Too small maximum heap"),
        (
            "",
            "could not find java in ES_JAVA_HOME at /x/bin/java\n",
            "could not find java in ES_JAVA_HOME at /x/bin/java",
        ),
        ("", "", "it said nothing"),
        ("", "\n \n\tat x.y(Z.java:1)\n", "it said nothing"),
    ],
)
def test_the_deepest_cause_is_told_in_one_line(log: str, console: str, told: str) -> None:
    assert reason(log, console) == told


def test_a_line_is_never_longer_than_a_screen() -> None:
    assert len(reason("", "Error: " + "x" * 10_000)) == 300
