"""The package's version."""

#: caio 0.12.10 defines the interface; libcaio's own version follows.
__version__ = "0.12.10+libcaio.0.2.0"
__author__ = "The libcaio developers"
