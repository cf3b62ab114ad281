"""From a bare Python to a ready environment. It runs before anything is installed.

So `config/__init__.py` and this folder import nothing but the standard library and each other.
"""
