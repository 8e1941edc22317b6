"""What a command says: for people on a terminal, and for programs as JSON Lines."""
