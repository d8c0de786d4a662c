"""What every stage stands on: files, buckets, threads, streams, text and times."""
