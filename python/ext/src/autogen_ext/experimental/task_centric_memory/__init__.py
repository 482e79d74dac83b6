"""Memory that is centred on tasks, and what it is tried out with."""
