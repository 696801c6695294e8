"""The control side of the media engine; the only package that imports `live777py._media`."""
