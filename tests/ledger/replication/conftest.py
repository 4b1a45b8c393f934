from lab.ledger.replication.nodes import made_nodes, node, nodes, untouched  # noqa: F401  fixtures
