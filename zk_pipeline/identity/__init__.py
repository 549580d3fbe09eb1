"""Identity: users, sign-in, sessions, API tokens, and roles."""
