"""The commands of `zk`, a module for each word; what they do lives elsewhere."""
