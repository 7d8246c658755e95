"""The only room that knows processes, settings, languages and the command line."""
