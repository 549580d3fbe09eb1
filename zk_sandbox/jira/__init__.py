"""A simulated Jira, Cloud and Data Center: its REST API over an in-memory site, as far as worklogs need it."""

from zk_sandbox.jira.server import JiraServer

__all__ = ["JiraServer"]
