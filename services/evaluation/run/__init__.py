"""One evaluation run: lease, shards, scores, metrics, watermark."""
