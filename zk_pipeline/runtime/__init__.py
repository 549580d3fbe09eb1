"""What every process works with: settings, the opened runtime, logs, tracing, the embedded PostgreSQL."""
