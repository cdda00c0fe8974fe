"""The page: a static program for browsers, at `/`. It holds no data; everything it shows comes from public endpoints."""
