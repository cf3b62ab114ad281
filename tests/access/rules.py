"""What every route asks for: a route without a rule fails `test_every_route_has_a_rule`; add a line to its part."""

from tests.access.rules_analyzer import ANALYZER
from tests.access.rules_config import SITE
from tests.access.rules_engine import ENGINE
from tests.access.rules_marketplace import MARKETPLACE
from tests.access.rules_personas import PERSONAS
from tests.access.rules_selling import SELLING
from tests.access.rules_templates_app import TEMPLATES

RULES = SITE | PERSONAS | TEMPLATES | ANALYZER | ENGINE | MARKETPLACE | SELLING
