"""Side by side with what people would use instead, in one run on one machine: `make bench`."""
