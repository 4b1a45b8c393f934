from .nodes import made_nodes, node, nodes  # noqa: F401  fixtures
