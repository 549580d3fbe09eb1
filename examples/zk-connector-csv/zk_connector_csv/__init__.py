"""A source for zk_pipeline: time bookings from a folder of CSV files."""

from zk_connector_csv.connector import CsvConnector

__all__ = ["CsvConnector"]
