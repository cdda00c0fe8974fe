"""What the rows of a run mean: columns, sampling, the catalogue of runs, exports, and how rows are written."""
