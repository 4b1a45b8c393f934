from .nodes import made_nodes, node, nodes, untouched  # noqa: F401  fixtures
