"""The package's version."""

#: caio 0.12.10 defines the interface. The number of the post-release is libcaio's version, of which 1.2.3 is 10203.
#: PyPI accepts no local version, such as 0.12.10+libcaio.0.2.0.
__version__ = "0.12.10.post200"
__author__ = "The libcaio developers"
