"""What a board at a door has to do, measured beside peers in one run: `make bench-device`."""
