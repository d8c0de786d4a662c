"""The command line: the only place that knows of click, rich and exit statuses."""
