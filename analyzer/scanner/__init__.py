"""Reads a machine's disk image without starting it: `scan.scan_image(path, image_format) -> Facts`.

`scan` and `sandbox` run in the application; everything in `child` runs in a sandbox that holds that one
image and nothing else worth having. The child knows neither Django nor pydantic: it starts in a few
hundredths of a second and its answer is not trusted.
"""
