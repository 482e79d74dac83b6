"""What the distributed runtimes share: how messages and errors become bytes, and how deadlines travel. Knows no transport."""
