"""From samples to batches: sampler, loader, cache, augmentation."""
