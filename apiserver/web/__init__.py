"""The page at `/`: static files. It contains no data; everything that it shows comes from public endpoints."""
