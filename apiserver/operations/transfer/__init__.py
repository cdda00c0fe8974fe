"""Moving runs in and out: import, follow (import while files grow) and export."""
