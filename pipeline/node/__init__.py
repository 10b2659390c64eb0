"""The embedded Elasticsearch: found or downloaded, started for one home, ended with who started it."""

from pipeline.node.configuration import ServerOptions
from pipeline.node.patience import StartInterruptedError
from pipeline.node.running import Node, node_status, node_url, start_node, stop_node

__all__ = ["Node", "ServerOptions", "StartInterruptedError", "node_status", "node_url", "start_node", "stop_node"]
