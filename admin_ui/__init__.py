"""The admin page and its command line."""
