"""Billing: closing months, statements and their files, credits, invoices."""
