"""Billing: months and their closing, the statement and its files, credits, invoices."""
