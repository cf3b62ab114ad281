"""Inventory files → machines: `read.read_inventory(data) -> Inventory`.

`read` runs in the application; everything else in a sandbox that holds that one file (see analyzer.scanner.sandbox).
"""
