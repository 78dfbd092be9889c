"""The commands of latchkey-admin, a file for each noun."""
