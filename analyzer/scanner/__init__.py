"""Reads a machine's disk images without starting it: `scan.scan_disks(disks) -> Facts`.

`scan` and `sandbox` run in the application; everything in `child` runs in a sandbox that holds these
images and nothing else worth having. The child knows neither Django nor pydantic: it starts in a few
hundredths of a second and its answer is not trusted.
"""
