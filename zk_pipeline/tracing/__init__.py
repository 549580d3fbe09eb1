"""Traces by OpenTelemetry: runs, steps, days, requests and webhooks, where `ZK_OTLP_ENDPOINT` asks for them."""
