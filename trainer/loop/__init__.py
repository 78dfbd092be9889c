"""What the training loops are made of: a run on disk, its processes, batches, objectives, optimisers."""
