"""Routes: each module reads requests of one kind and writes their answers. What is decided is decided below."""
