"""`python3 manage.py recommender [--department SLUG] [--by NAME --on|--off|--share|--alone|--shadow|--promote|…]`"""

import json

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from analyzer.services.learning import (
    card_of,
    recommender_of,
    recommender_promote,
    recommender_reset,
    recommender_revert,
    recommender_set,
)
from personas.errors import NotAllowed, Refused
from personas.models import Department

DEEDS = {
    "on": lambda **who: recommender_set(enabled=True, **who),
    "off": lambda **who: recommender_set(enabled=False, **who),
    "share": lambda **who: recommender_set(shares=True, **who),
    "alone": lambda **who: recommender_set(shares=False, **who),
    "shadow": lambda **who: recommender_set(shadow=True, **who),
    "promote": recommender_promote,
    "reset": recommender_reset,
    "revert": recommender_revert,
}


class Command(BaseCommand):
    help = "What the recommender of a department has learned (its model card as JSON), and its switches."

    def add_arguments(self, parser):
        parser.add_argument("--department", metavar="SLUG", help="without it: the machines that have none")
        parser.add_argument(
            "--by", metavar="NAME", help="in whose name it is changed; must administer the department"
        )
        deeds = parser.add_mutually_exclusive_group()
        for deed in DEEDS:
            deeds.add_argument(f"--{deed}", dest="deed", action="store_const", const=deed)

    def handle(self, *, department, by, deed, **options):
        of = self._department(department)
        if deed:
            self._do(deed, of, by)
        self.stdout.write(json.dumps(card_of(recommender_of(of)), indent=2))

    def _department(self, slug: str | None) -> Department | None:
        if slug is None:
            return None
        found = Department.objects.filter(slug=slug).first()
        if found is None:
            raise CommandError(f"There is no department {slug}.")
        return found

    def _do(self, deed: str, department: Department | None, name: str | None) -> None:
        user = get_user_model().objects.filter(username=name or "").first()
        if user is None:
            raise CommandError(f"There is no user {name}." if name else "Say in whose name: --by NAME.")
        try:
            DEEDS[deed](department=department, by=user)
        except (Refused, NotAllowed) as error:
            raise CommandError(str(error)) from error
