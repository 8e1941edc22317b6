"""Where licenses live."""
