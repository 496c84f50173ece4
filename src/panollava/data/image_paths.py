"""From the image cell of a manifest to a file, with no download and no way out of the root by `..` or by a link."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from panollava.errors import DataError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image named by a manifest.

    Attributes:
        path: Where the file is.
        image_id: Its path below the root with forward slashes (the same on every machine); for an absolute
            path outside the root, that path.
    """

    path: Path
    image_id: str


@dataclass(slots=True)
class ImageFinder:
    """Resolve the image cells of one manifest; each distinct cell is looked up once.

    A relative cell lies under `root`. An absolute cell is taken as it is. A URL stands for the file with its
    base name, under `root` or else beside the manifest (QuIC-360: the `url` column holds a URL or a file
    name).

    Attributes:
        manifest: The manifest's path.
        root: The folder of the images.
        check: Whether the files must exist.
        follow_links: Whether a relative cell may be a link that leads out of the root.
    """

    manifest: Path
    root: Path
    check: bool = True
    follow_links: bool = False
    _found: dict[str, ImageFile] = field(default_factory=dict)
    _url_of_name: dict[str, str] = field(default_factory=dict)
    _real: dict[Path, str] = field(default_factory=dict)

    def find(self, cell: str) -> ImageFile:
        """Return the file that a cell names.

        Raises:
            DataError: The reason and the fix, without file, row and column, which the caller knows.
        """
        if cell not in self._found:
            is_url = _SCHEME.match(cell) is not None
            self._found[cell] = self._from_url(cell) if is_url else self._from_path(cell)
        return self._found[cell]

    def _from_path(self, cell: str) -> ImageFile:
        plain = os.path.normpath(cell)
        if os.path.isabs(plain):  # noqa: PTH117 - the text itself is judged, as `normpath` left it
            path, root = Path(plain), self.root.absolute()
            image_id = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
        else:
            if PurePosixPath(plain.replace(os.sep, "/")).parts[:1] == ("..",):
                raise DataError(
                    f"'{cell}' leaves the image root '{self.root}' by '..'; set image_root to the folder "
                    "that holds the images"
                )
            path = self.root / plain
            image_id = Path(plain).as_posix()
        if self.check and not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises on a too long name
            raise DataError(f"no image file '{path}'{_hint(cell)}; correct the path or set image_root")
        return ImageFile(path, image_id) if os.path.isabs(plain) else self._contained(path, image_id, root=self.root)  # noqa: PTH117

    def _from_url(self, cell: str) -> ImageFile:
        written = re.split(r"[?#]", cell.split("://", 1)[1], maxsplit=1)[0].partition("/")[2].rpartition("/")[2]
        names = [name for name in dict.fromkeys((written, unquote(written))) if _is_file_name(name)]
        if not names:
            raise DataError(f"the URL '{cell}' names no file; write the name of a local image file")
        other = self._url_of_name.setdefault(names[-1], _without_scheme(cell))
        if other != _without_scheme(cell):
            raise DataError(
                f"the URLs '{cell}' and '{other}' (an earlier row) end in the same file name '{names[-1]}', "
                "so one local file cannot stand for both; write the names of two local image files"
            )
        folders = dict.fromkeys((self.root, self.manifest.parent))
        for folder in folders:
            for name in names:
                if os.path.isfile(folder / name):  # noqa: PTH113 - as above
                    return self._contained(folder / name, name, root=folder)
        if not self.check:
            return ImageFile(self.root / names[0], names[0])
        raise DataError(
            f"'{cell}' is a URL and nothing is downloaded; no file '{names[-1]}' in "
            f"{' or '.join(repr(str(folder)) for folder in folders)}. Put the image there or set image_root"
        )

    def _contained(self, path: Path, image_id: str, *, root: Path) -> ImageFile:
        """Return the image, unless a link on its way leads out of the root."""
        if self.follow_links:
            return ImageFile(path, image_id)
        inside = self._real_folder(root)
        real = os.path.join(self._real_folder(path.parent), path.name)  # noqa: PTH118 - as above
        if os.path.islink(path):  # noqa: PTH114 - as above
            real = os.path.realpath(path)
        if not real.startswith(inside.rstrip(os.sep) + os.sep):
            raise DataError(
                f"'{image_id}' is a link that leads out of the image root '{root}', to '{real}'; set image_root to the "
                "folder that holds the images, or data.follow_links: true if links are meant"
            )
        return ImageFile(path, image_id)

    def _real_folder(self, folder: Path) -> str:
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        return self._real[folder]


def _is_file_name(name: str) -> bool:
    return name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0"}


def _without_scheme(url: str) -> str:
    return url.split("://", 1)[1]


def _hint(cell: str) -> str:
    """Say where the file might be meant to be."""
    if os.path.isfile(cell):  # noqa: PTH113 - as above
        return ", though one exists relative to the current folder (image_root='.' would find it)"
    if "\\" in cell and os.sep != "\\":
        return " (the path has backslashes; write forward slashes)"
    return ""
