"""The `zk` command, a module for each subcommand; the work is done by the packages that they call."""
