"""Measurements of the importer, and the synthetic legacy stores that they run on."""
