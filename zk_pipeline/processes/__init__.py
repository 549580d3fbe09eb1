"""The processes of `zk up`: started in order, restarted when they die or hang, ended together."""
