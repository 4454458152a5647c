"""Integrations with other libraries: one file or folder a library, which only that one imports."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Name the extra that brings a library which an import within finds missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if "pip install" in str(error):  # an integration on which this one rests has said so
            raise
        message = f"{error}; it comes with the extra {extra}: pip install 'fairseg[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from None
