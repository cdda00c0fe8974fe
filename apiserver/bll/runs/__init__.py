"""Rows of a run: columns, sampling, the catalogue of runs, exports, writing."""
