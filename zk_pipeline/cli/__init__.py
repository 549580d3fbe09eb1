"""The `zk` command: one module for each word; what the words do lives in the rooms."""
