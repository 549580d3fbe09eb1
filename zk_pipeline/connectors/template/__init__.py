"""`zk connectors new`: a package with a connector that works at once, to be changed step by step."""
