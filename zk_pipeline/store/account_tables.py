"""The tables of who may use the console and the API: users, what they prove it by, and failed sign-ins."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Identity, Index, Table, Text, text

from zk_pipeline.store.columns import instant, metadata, text_column

_ROLE = "role IN ('viewer', 'operator', 'admin')"

users = Table(
    "users",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # In small letters. Nothing else refers to a person by it: the audit chain and decisions name `user:<id>`.
    Column("email", Text, nullable=False, unique=True),
    text_column("name"),
    text_column("role"),
    # argon2; NULL for people who sign in through the identity provider alone.
    text_column("password_hash", nullable=True),
    # Issuer and subject at the identity provider.
    Column("oidc_subject", Text, unique=True),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    instant("created_at", default=True),
    instant("updated_at", default=True),
    instant("last_login_at", nullable=True),
    CheckConstraint(_ROLE, name="role"),
    schema="sync",
)

sessions = Table(
    "sessions",
    metadata,
    # Random, and new at each sign-in, so that nobody can be given one that somebody else knows.
    Column("id", Text, primary_key=True),
    Column("user_id", BigInteger, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    # Hashes of the refresh token that counts and of the one before it: who shows that one again has stolen it.
    text_column("refresh_hash"),
    text_column("previous_hash", default=""),
    instant("created_at", default=True),
    instant("refreshed_at", default=True),
    instant("expires_at"),
    instant("ended_at", nullable=True),
    # When whoever is in it last gave a password, or signed in at the identity provider just for this.
    instant("confirmed_at", nullable=True),
    Column("by_provider", Boolean, nullable=False, server_default=text("false")),
    Index("sessions_user_id_idx", "user_id"),
    schema="sync",
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("user_id", BigInteger, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    text_column("name"),
    text_column("role"),
    # SHA-256 of a random token of 256 bits; the token itself is shown once.
    Column("token_hash", Text, nullable=False, unique=True),
    instant("created_at", default=True),
    instant("expires_at"),
    instant("last_used_at", nullable=True),
    instant("revoked_at", nullable=True),
    CheckConstraint(_ROLE, name="role"),
    schema="sync",
)

second_factors = Table(
    "second_factors",
    metadata,
    Column("user_id", BigInteger, ForeignKey(users.c.id, ondelete="CASCADE"), primary_key=True),
    # What the codes of the app are made of.
    text_column("secret_encrypted"),
    # The half minute of the newest code that was accepted: one code counts once.
    Column("last_step", BigInteger, nullable=False, server_default=text("0")),
    instant("created_at", default=True),
    # NULL until a first code showed that the app has the secret.
    instant("active_since", nullable=True),
    schema="sync",
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    # SHA-256 of 120 random bits.
    Column("code_hash", Text, primary_key=True),
    Column("user_id", BigInteger, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    instant("used_at", nullable=True),
    Index("recovery_codes_user_id_idx", "user_id"),
    schema="sync",
)

failed_logins = Table(
    "failed_logins",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # Hash of the e-mail that was tried, and the client's address: what attempts are counted by.
    text_column("account_hash"),
    text_column("address"),
    # What it is counted with beside these: a device that signed in to the account before, or else nothing.
    text_column("way", default=""),
    instant("at", default=True),
    Index("failed_logins_account_hash_idx", "account_hash", "at"),
    Index("failed_logins_address_idx", "address", "at"),
    schema="sync",
)
