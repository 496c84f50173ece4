"""The checksums of PNG, which Pillow does not ask for the chunks that hold pixels."""

import struct
import zlib

_SIGNATURE_BYTES = 8


def check_chunks(data: bytes) -> None:
    """Compare the CRC of every chunk up to the end of the image.

    Args:
        data: A PNG file.

    Raises:
        ValueError: A chunk's CRC is wrong, or the file ends inside a chunk.
        struct.error: The file ends between two chunks.
    """
    view, at = memoryview(data), _SIGNATURE_BYTES
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            raise ValueError(f"chunk {kind!r} at byte {at} is cut off")
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise ValueError(f"chunk {kind!r} at byte {at} has a wrong checksum")
        if kind == b"IEND":
            return
        at = end + 4
