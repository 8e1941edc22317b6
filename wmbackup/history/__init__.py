"""The series of archives of one store: what is known of it, its order, and which of it to keep."""
