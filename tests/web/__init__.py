"""The page in a real Chromium: Debian's, driven by playwright."""
