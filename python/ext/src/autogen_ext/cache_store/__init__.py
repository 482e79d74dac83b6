"""Caches that outlive the program: `diskcache` keeps values in a folder, `redis` in a Redis server."""
