"""Identity: users, their sign-in, sessions and API tokens, and what a role may do."""
