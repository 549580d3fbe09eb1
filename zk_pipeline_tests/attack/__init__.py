"""Attacks on a running installation, each as its attacker would send it, with a table of what held."""
