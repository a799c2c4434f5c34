"""What a file is, by its first bytes: an image that edgekit reads, or something else that is worth a name."""

from __future__ import annotations

import re

_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_OTHER_STARTS = (
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer; run `git lfs pull` to get the image"),
    (b"/annex/objects/", "a git-annex pointer; run `git annex get` to get the image"),
    (b"\xff\x0a", "a JPEG XL image; convert it to JPEG or PNG"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image; convert it to JPEG or PNG"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image; convert it to JPEG or PNG"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image; convert it to JPEG or PNG"),
    (b"8BPS", "a Photoshop file; export it as JPEG or PNG"),
    (b"%PDF", "a PDF file"),
    (b"%!PS", "a PostScript file"),
    (b"PK\x03\x04", "a ZIP archive; unpack it"),
    (b"\x1f\x8b", "a gzip file; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it"),
    (b"\0\0\1\0", "an icon (ICO)"),
    (b"DDS ", "a DDS texture"),
    (b"v/1\x01", "an OpenEXR image; convert it to JPEG or PNG"),
    (b"#?RADIANCE", "a Radiance HDR image; convert it to JPEG or PNG"),
    (b"SIMPLE  =", "a FITS image; convert it to PNG"),
    (b"\x93NUMPY", "a NumPy array; save it as PNG"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"FUJIFILMCCD-RAW", "a camera raw image; convert it to JPEG or PNG"),
)
_BRANDS = {
    "a HEIC image, as phones save it; convert it to JPEG or PNG": (
        b"heic",
        b"heix",
        b"heim",
        b"heis",
        b"hevc",
        b"hevx",
    ),
    "an AVIF image; convert it to JPEG or PNG": (b"avif", b"avis"),
    "a camera raw image; convert it to JPEG or PNG": (b"crx ",),
}


def format_of(start: bytes) -> str | None:
    """The format of an image that starts with these bytes; None if edgekit reads no such format."""
    for magic, name in _STARTS:
        if start.startswith(magic):
            return name
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[:2] == b"BM" and len(start) >= 16 and start[6:10] == b"\0\0\0\0":
        return "BMP"
    if re.match(rb"P[1-6][\s#]", start):
        return "PPM"
    return None


def other_kind(content: bytes) -> str | None:
    """What a file is that is not an image of a known format, in words."""
    for magic, words in _OTHER_STARTS:
        if content.startswith(magic):
            return words
    if content[4:8] == b"ftyp":
        return _in_a_container(content)
    if content[128:132] == b"DICM":
        return "a DICOM file; convert it to PNG"
    if content[:4] == b"RIFF" and content[8:12] == b"AVI ":
        return "a video"
    return _by_text(content)


def _in_a_container(content: bytes) -> str | None:
    """The kind of a file in the ISO base media format, which HEIC, AVIF and MP4 share."""
    brands = content[8 : 8 + 64]
    for words, names in _BRANDS.items():
        if any(name in brands for name in names):
            return words
    return "a HEIF image; convert it to JPEG or PNG" if brands[:4] in (b"mif1", b"msf1") else "a video"


def _by_text(content: bytes) -> str | None:
    start = content[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return "an SVG drawing; convert it to PNG"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page (HTML), as a failed download leaves it"
    if start.startswith(b"<?xml"):
        return "an XML file"
    if content and not content.strip(b"\0"):
        return "nothing but zero bytes, as a failed download leaves it"
    return None
