"""Training: loop, losses, batches, checkpoints, many processes."""
