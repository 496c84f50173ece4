"""Image files made by hand: what no library here writes."""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

FLIPS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def seen(pixels, orientation):
    """Return an u8 RGB picture as a viewer shows it, by Pillow's own transpositions."""
    flip = FLIPS[orientation]
    return pixels if flip is None else np.asarray(Image.fromarray(pixels).transpose(flip))


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def pillow(image, fmt, orientation=1, **options):
    file = io.BytesIO()
    if orientation != 1:
        options["exif"] = exif(orientation)
    image.save(file, fmt, **options)
    return file.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png16(pixels, orientation=1):
    """Return a 16-bit PNG, grey or RGB, with an eXIf chunk."""
    height, width = pixels.shape[:2]
    colour = 0 if pixels.ndim == 2 else 2
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    rows = pixels.astype(">u2").reshape(height, -1)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    block = exif(orientation).tobytes().removeprefix(b"Exif\0\0")
    parts = [(b"IHDR", header), (b"eXIf", block), (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(pixels, orientation=1, *, photometric, extra=None, xmp=None):
    """Return an uncompressed little-endian TIFF: u8, u16 or f32 samples, any number of channels."""
    pixels = np.atleast_3d(pixels)
    height, width, channels = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    kind = 3 if pixels.dtype.kind == "f" else 1
    bits = [8 * pixels.dtype.itemsize] * channels
    tags = {
        256: (width,), 257: (height,), 258: bits, 259: (1,), 262: (photometric,), 273: (8,), 274: (orientation,),
        277: (channels,), 278: (height,), 279: (len(data),), 284: (1,), 339: [kind] * channels,
    }  # fmt: skip
    if extra is not None:
        tags[338] = (extra,)
    if xmp is not None:
        tags[700] = xmp
    start = 8 + len(data) + len(data) % 2
    entries, tail = b"", b""
    after = start + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        values = tags[tag]
        code, size = ("B", 1) if tag == 700 else ("I", 4) if tag in (273, 279) else ("H", 2)
        packed = struct.pack(f"<{len(values)}{code}", *values)
        if len(packed) > 4:
            place, tail = struct.pack("<I", after + len(tail)), tail + packed + b"\0" * (len(packed) % 2)
        else:
            place = packed.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, {1: 1, 2: 3, 4: 4}[size], len(values)) + place
    head = struct.pack("<2sHI", b"II", 42, start) + data + b"\0" * (len(data) % 2)
    return head + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0" + tail


def exr(channels, header=None):
    """Return an OpenEXR file."""
    import tempfile
    from pathlib import Path

    import OpenEXR

    options = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **(header or {})}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.exr"
        OpenEXR.File(options, channels).write(str(path))
        return path.read_bytes()


def radiance(light, *, head=b""):
    """Return a Radiance file; `head` are more lines of its header."""
    ok, data = cv2.imencode(".hdr", light[:, :, ::-1])
    assert ok
    return data.tobytes().replace(b"\n\n", b"\n" + head + b"\n", 1)


def jpeg_with(data, *, xmp=None, orientation=1):
    """Return a JPEG with APP1 segments put behind SOI."""
    segments = b""
    for body in (
        exif(orientation).tobytes() if orientation != 1 else None,
        b"http://ns.adobe.com/xap/1.0/\0" + xmp if xmp is not None else None,
    ):
        if body is not None:
            segments += b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    return data[:2] + segments + data[2:]


def gpano(form="attributes", **tags):
    """Return an XMP packet with GPano tags, in either of the two forms."""
    tags = {"ProjectionType": "equirectangular", **tags}
    space = 'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'
    if form == "attributes":
        inner = "".join(f' GPano:{name}="{value}"' for name, value in tags.items())
        description = f'<rdf:Description rdf:about="" {space}{inner}/>'
    else:
        inner = "".join(f"<GPano:{name}>{value}</GPano:{name}>" for name, value in tags.items())
        description = f'<rdf:Description rdf:about="" {space}>{inner}</rdf:Description>'
    rdf = f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{description}</rdf:RDF>'
    body = f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta>'
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{body}<?xpacket end="w"?>'.encode()


def crop_tags(width, height, left, top, full_width, full_height):
    return {
        "CroppedAreaImageWidthPixels": width, "CroppedAreaImageHeightPixels": height, "CroppedAreaLeftPixels": left,
        "CroppedAreaTopPixels": top, "FullPanoWidthPixels": full_width, "FullPanoHeightPixels": full_height,
    }  # fmt: skip
