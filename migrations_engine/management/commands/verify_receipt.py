"""Checks a run's receipt offline: needs the file and the public key, no database, no network.

python3 manage.py verify_receipt receipt.json --key instance.pem
python3 manage.py verify_receipt --print-key > instance.pem         # on the instance that signs
"""

import json
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from migrations_engine.domain.seal import BadSeal, verify
from migrations_engine.services.receipt import receipt_key
from personas.domain.canonical import sha256_of

MOST_BYTES = 32 * 2**20


class Command(BaseCommand):
    help = "Checks the signature of a run's receipt, without a database."
    requires_system_checks: list = []

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path, nargs="?")
        parser.add_argument("--key", type=Path, help="public key in PEM; this instance's own if left out")
        parser.add_argument("--print-key", action="store_true", help="print this instance's public key")

    def handle(self, **options):
        if options["print_key"]:
            self.stdout.write(receipt_key(), ending="")
            return
        if options["file"] is None:
            raise CommandError("Name the receipt's file.")
        pem = _read(options["key"]) if options["key"] else receipt_key()
        receipt = _receipt(options["file"])
        try:
            verify(receipt, pem)
        except BadSeal as error:
            raise CommandError(f"{options['file']}: {error}") from error
        rest = {name: value for name, value in receipt.items() if name not in ("sha256", "signature")}
        if receipt.get("sha256") != sha256_of(rest):
            raise CommandError(f"{options['file']}: its SHA-256 is not that of its content.")
        self.stdout.write(f"Genuine: run {receipt['run']} of {receipt['vm']['name']}, {receipt['state']}.")


def _receipt(path: Path) -> dict:
    try:
        return json.loads(_read(path))
    except ValueError as error:
        raise CommandError(f"{path}: no JSON: {error}") from error


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise CommandError(f"{path}: larger than {MOST_BYTES // 2**20} MiB.")
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: {error}") from error
