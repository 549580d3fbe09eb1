"""The processes of `zk up`: started in order, restarted when they end or hang, stopped together."""
