"""What door, lock, page and trainer must agree on. Imports none of them."""
