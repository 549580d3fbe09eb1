"""Jira as a source: worklogs of Jira Cloud and Jira Data Center (docs/jira.md)."""
