"""What helps where a verb may not write into a search's folder, such as one on a read-only disk."""

from collections.abc import Iterator
from contextlib import contextmanager

from search.errors import REFUSED, disk_error


@contextmanager
def writes_told(remedy: str) -> Iterator[None]:
    """The block writes; what the file system refuses there is told with this remedy.

    Raises:
        SearchError: it refuses.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        raise disk_error(error, path="disk", remedy=remedy) from error
