"""The only places on this machine that a disk is read from."""

from pathlib import Path

from django.conf import settings

from personas.errors import BadInput


def checked_directory(location: str) -> Path:
    """The real path of a directory below one of IMAGE_ROOTS, symlinks resolved. Raises BadInput at `location`."""
    roots = [Path(root).resolve() for root in settings.IMAGE_ROOTS]
    allowed = ", ".join(map(str, roots))
    if "\0" in location or not location.startswith("/"):
        raise BadInput({"location": [f"Give an absolute path below {allowed}."]})
    path = Path(location).resolve()
    if not any(path == root or root in path.parents for root in roots):
        raise BadInput({"location": [f"Disk images are read only below {allowed} (IMAGE_ROOTS)."]})
    if not path.is_dir():
        raise BadInput({"location": ["There is no such directory on this machine."]})
    return path
