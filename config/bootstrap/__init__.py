"""From a bare Python to a ready environment, with the standard library only: it runs before anything is installed.

`config/__init__.py` and everything in this folder must therefore import nothing but the standard library and each other.
"""
