"""The RPC layer, the settings and the command line."""
