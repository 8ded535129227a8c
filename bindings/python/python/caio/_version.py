"""The package's version: what it replaces, and what it is."""

#: The interface is that of caio 0.12.10; the rest is libcaio's own version.
__version__ = "0.12.10+libcaio.0.1.0"
__author__ = "The libcaio developers"
