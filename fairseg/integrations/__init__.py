"""Integrations with other libraries: one file or folder a library, which only that one imports."""
