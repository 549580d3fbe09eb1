"""The table of people who were erased: by hashes alone, so that they are recognized should a system name them again."""

from sqlalchemy import ARRAY, Column, Integer, Table, Text

from zk_pipeline.store.columns import instant, metadata, text_column

erasures = Table(
    "erasures",
    metadata,
    Column("pseudonym", Text, primary_key=True),
    # One for all rows, random.
    text_column("salt"),
    text_column("mail"),
    Column("full_names", ARRAY(Text), nullable=False),
    Column("single_names", ARRAY(Text), nullable=False),
    # How many words the full names have.
    Column("words", ARRAY(Integer), nullable=False),
    instant("erased_at", default=True),
    schema="sync",
)
