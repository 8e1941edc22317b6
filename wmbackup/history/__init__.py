"""The line of archives of one store: which to keep, what came before, what is known of it."""
