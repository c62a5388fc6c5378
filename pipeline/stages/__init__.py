"""The five stages, and the table that lists them."""
