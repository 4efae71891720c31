"""Files that are replaced as a whole: whoever reads one finds the old one or the new one."""

import contextlib
import os
import secrets
from contextlib import contextmanager

#: How the names of files end that are to replace others, after the name of that.
PART = ".part"


@contextmanager
def replacing(path):
    """Context of a new file, open, which takes the place of the one at ``path`` when it ends without an error."""
    # of its own, whoever else writes
    beside = path.with_name(f"{path.name}.{secrets.token_hex(6)}{PART}")
    try:
        with open(beside, "xb+") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    # the name is on the disk when the folder is; Windows has no such call for a folder
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
