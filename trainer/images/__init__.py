"""Where training images come from, and what a camera at a door makes of them."""
