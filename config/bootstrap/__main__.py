"""`python3 -m config.bootstrap run [full_guest] [test]`: prepare a machine or an image without starting anything.

Makes `.venv/` and installs the Debian packages of these purposes (see `debian.PACKAGES`).
"""

import sys

from config.bootstrap import debian, environment


def main(purposes: list[str]) -> None:
    known = sorted({package.purpose for package in debian.PACKAGES})
    if not purposes or not set(purposes) <= set(known):
        sys.exit(f"usage: python3 -m config.bootstrap PURPOSE...  (of: {', '.join(known)})")
    environment.ensure("dev" if "test" in purposes else "run")
    debian.ensure(purposes)


main(sys.argv[1:])
