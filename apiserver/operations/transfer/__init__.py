"""Run folders on disk: finding them, reading what is in them, bringing it in once or for as long as it grows."""
