import re
from pathlib import Path

import pytest

from analyzer.models.recommendation import RecommendationState
from analyzer.models.scan import ScanState
from config.states import STATES, look_of
from migrations_engine.domain.states import RunState, StepState

PROJECT = Path(__file__).resolve().parents[2]
ICONS = set(re.findall(r'<symbol id="([^"]+)"', (PROJECT / "static" / "icons.svg").read_text()))


@pytest.mark.parametrize("states", [RunState, StepState, ScanState, RecommendationState])
def test_every_state_has_a_look_of_its_own(states):
    assert {str(state.value) for state in states} <= set(STATES)


def test_an_unknown_state_claims_nothing():
    assert look_of("some_new_state") == ("idle", "circle-dot", "Some new state")


def test_every_state_has_an_icon_that_exists():
    assert {look.icon for look in STATES.values()} <= ICONS


def test_every_icon_that_a_template_names_exists():
    named = set()
    for template in PROJECT.glob("*/templates/**/*.html"):
        named |= set(re.findall(r"""(?:\bicon|icon_name=)\s*["']([\w-]+)["']""", template.read_text()))
    assert named - ICONS == set()
    assert named


def test_no_template_has_what_the_content_security_policy_forbids():
    forbidden = re.compile(r"""\sstyle=|\son\w+=["']|hx-on|<style|<script(?![^>]*\ssrc=)|javascript:""")
    found = [
        f"{template.relative_to(PROJECT)}: {match.group(0)}"
        for template in PROJECT.glob("*/templates/**/*.html")
        for match in forbidden.finditer(template.read_text())
    ]
    assert found == []
