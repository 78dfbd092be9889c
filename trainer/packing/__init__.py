"""From a trained network to a calibrated, signed bundle."""
