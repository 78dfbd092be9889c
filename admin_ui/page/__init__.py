"""The admin page: wiring between the office and a browser, one file a tab."""
