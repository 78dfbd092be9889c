"""`latchkey-admin demo`: a whole Latchkey on one machine, to look at or, with --check, to count."""
