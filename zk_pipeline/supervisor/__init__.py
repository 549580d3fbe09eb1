"""Runs the processes of `zk up` together: starts them in order, restarts what dies, and leaves nothing behind."""
