"""Who may do what: accounts, passwords, sessions, invitations, API tokens, and a log of what was done."""
