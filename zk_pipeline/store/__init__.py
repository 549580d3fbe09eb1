"""PostgreSQL: tables, queries, migrations, encryption and the embedded server."""
