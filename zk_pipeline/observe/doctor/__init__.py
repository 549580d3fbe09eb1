"""`zk doctor`: checks of the whole installation, with remedies."""
