"""Simulated Zammad, Jira, Freshdesk and Kimai that behave like the real ones, and demo data for them."""
