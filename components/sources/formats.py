"""Which kinds of pictures are read, and which are known and refused."""

# Only plain raster decoders: others start programs (EPS), hold layers (PSD) or have no business in a data set.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM", "TGA", "JPEG2000", "AVIF")
_OF_FORMATS = {
    "PNG": ".png .apng",
    "JPEG": ".jpg .jpeg .jpe .jfif",
    "TIFF": ".tif .tiff",
    "BMP": ".bmp .dib",
    "WEBP": ".webp",
    "GIF": ".gif",
    "PPM": ".ppm .pgm .pbm .pnm",
    "TGA": ".tga .icb .vda .vst",
    "JPEG2000": ".jp2 .j2k .jpc .jpf .jpx .j2c",
    "AVIF": ".avif .avifs",
}
EXTENSIONS = frozenset(" ".join(_OF_FORMATS.values()).split())
# Endings of pictures that are not read: such a file is refused by name, since it was meant to be a sample.
_UNREAD = """.heic .heif .hif .jxl .psd .psb .xcf .svg .eps .pdf .ai .exr .hdr .dng .cr2 .cr3 .nef .arw .raf .orf .rw2
    .ico .icns .dds .pcx .sgi .rgb .bw .ras .fits .dcm .nii .mrc .emf .wmf .xbm .xpm .im .msp .qoi .fli .flc"""
UNREAD = frozenset(_UNREAD.split())
