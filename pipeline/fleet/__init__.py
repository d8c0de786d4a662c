"""Many stores, one import each, on a cluster that runs Dask or on this machine alone."""
