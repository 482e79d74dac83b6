"""Things that may still change, one folder each."""
