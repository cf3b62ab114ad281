"""The tags and filters as the templates use them; how they look is asked in tests/journeys/test_components.py."""

from datetime import timedelta

import pytest
from django import forms
from django.template import engines
from django.utils import timezone


def render(source, request=None, **context):
    return engines["django"].from_string(source).render(context, request)


class Example(forms.Form):
    name = forms.CharField(max_length=8, help_text="As people find it.")
    size = forms.IntegerField(label="vCPUs", min_value=1)
    mode = forms.ChoiceField(choices=[("a", "A")])
    tags = forms.JSONField(required=False)
    groups = forms.MultipleChoiceField(
        choices=[("db", "Databases"), ("web", "Web")], widget=forms.CheckboxSelectMultiple, required=False
    )
    must_pass = forms.NullBooleanField(required=False)
    agreed = forms.BooleanField(required=False)


@pytest.mark.parametrize(
    "source",
    [
        "{{ value|setting }}",
        "{{ listed|setting }}",
        "{{ mapped|setting }}",
        "{% state value %}",
        "{% fact value value %}",
        "{% fact_block value %}{{ value }}{% endfact_block %}",
        "{% code value name=value %}",
        "{% empty value %}{{ value }}{% endempty %}",
        "{% card value %}{{ value }}{% endcard %}",
        "{% progress value message=value %}",
        "{% chart value value unit=value %}",
        "{% poll value %}{{ value }}{% endpoll %}",
        "{% fieldset value help=value %}{{ value }}{% endfieldset %}",
        "{% icon value label=value %}",
    ],
)
def test_a_value_from_a_disk_is_escaped(source):
    evil = "<b>&"
    html = render(source, value=evil, listed=[evil], mapped={evil: evil})
    assert "<b>" not in html
    assert "&lt;b&gt;" in html


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "not set"), (True, "yes"), (False, "no"), (8192, "8192"), ([], "none"), (["curl"], "curl"),
        ({"tier": "gold"}, "tier: gold"), ([{"name": "tune-postgres"}], "tune-postgres"),
        ([{"kind": "tcp", "port": 5432}], "tcp 5432"), ({"tier": None}, "tier: not set"),
        ([{"outside": False, "kind": "tcp", "port": 5432}], ">tcp 5432<"),
        ([{"outside": True, "kind": "tcp", "port": 5432}], ">tcp outside 5432<"),
    ],
)
def test_a_setting_is_told_in_words(value, told):
    assert told in render("{{ value|setting }}", value=value)


def test_when_is_relative_with_the_absolute_as_title():
    moment = timezone.now() - timedelta(minutes=5)
    html = render("{% when moment %}", moment=moment)
    assert "5\xa0minutes ago" in html
    assert f'title="{moment:%Y-%m-%d %H:%M:%S} UTC"' in html
    assert "not yet" in render("{% when None none='not yet' %}")


def test_when_is_a_date_once_it_is_long_ago():
    moment = timezone.now() - timedelta(days=400)
    assert f">{moment:%Y-%m-%d}</time>" in render("{% when moment %}", moment=moment)


def test_stars_are_told_to_who_cannot_see_them():
    assert 'aria-label="3 of 5 stars"' in render("{% stars 3 %}")
    assert 'aria-label="not known"' in render("{% stars None %}")


def test_a_field_ties_help_and_errors_to_its_control():
    form = Example({"name": "much too long", "size": "1"})
    html = render("{% field form.name %}", form=form)
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'id="id_name_helptext"' in html
    assert 'id="id_name_error"' in html
    assert 'aria-invalid="true"' in html
    assert 'value="much too long"' in html


@pytest.mark.parametrize(
    ("name", "css"),
    [("name", "form-control"), ("mode", "form-select"), ("agreed", "form-check-input"), ("tags", "font-monospace")],
)
def test_each_kind_of_control_gets_its_class(name, css):
    assert css in render("{% field field %}", field=Example()[name])


def test_choices_are_a_group_with_a_legend():
    html = render("{% field form.groups %}", form=Example({"groups": ["web"]}))
    assert html.count('type="checkbox"') == 2
    assert html.count(" checked") == 1
    assert "<legend" in html


def test_the_third_choice_beside_yes_and_no_says_what_it_means():
    assert "Not said" in render("{% field form.must_pass %}", form=Example())
    assert "Any" in render("{% field form.must_pass unknown='Any' %}", form=Example())


def test_no_choice_is_named_for_what_it_means():
    class Choices(forms.Form):
        bus = forms.ChoiceField(choices=[("", "---------"), ("virtio", "virtio")], required=False)
        persona = forms.ChoiceField(choices=[("", "---------"), ("db", "DatabaseAdmin")])

    assert "Not said" in render("{% field form.bus %}", form=Choices())
    assert "Any" in render("{% field form.bus unknown='Any' %}", form=Choices())
    assert "Choose …" in render("{% field form.persona %}", form=Choices())


def test_a_choice_of_several_can_be_boxes():
    class Choices(forms.Form):
        state = forms.MultipleChoiceField(choices=[("on", "On"), ("off", "Off")])

    html = render("{% field form.state boxes=True %}", form=Choices({"state": ["off"]}))
    assert html.count('type="checkbox"') == 2
    assert 'value="off" checked' in html
    assert "<select" in render("{% field form.state %}", form=Choices())


def test_the_error_summary_links_to_every_wrong_field_and_takes_the_focus():
    html = render("{% form_errors form %}", form=Example({"name": ""}))
    assert 'href="#id_name"' in html
    assert 'href="#id_size"' in html
    assert "autofocus" in html
    assert render("{% form_errors form %}", form=Example()).strip() == ""


def test_a_column_sorts_both_ways_and_forgets_the_page(rf):
    html = render('{% column "name" "Name" %}', rf.get("/?q=x&page=3"))
    assert 'href="?q=x&amp;ordering=name"' in html
    assert "aria-sort" not in html
    html = render('{% column "name" "Name" %}', rf.get("/?ordering=name"))
    assert 'href="?ordering=-name"' in html
    assert 'aria-sort="ascending"' in html
    assert 'aria-sort="descending"' in render('{% column "name" "Name" %}', rf.get("/?ordering=-name"))


@pytest.mark.parametrize(
    ("query", "narrowing"),
    [
        ("", []),
        ("ordering=name&page=2", []),
        ("search=", []),
        ("is_staff=unknown", []),
        ("search=x&ordering=a", ["search"]),
    ],
)
def test_only_what_narrows_the_list_counts_as_a_filter(rf, query, narrowing):
    assert render("{% active_filters as on %}{{ on|join:',' }}", rf.get(f"/?{query}")) == ",".join(narrowing)


def test_progress_without_an_extent_moves_without_a_value():
    assert "value=" not in render('{% progress "Booting" %}')
    html = render('{% progress "Copying" percent=42.7 done=512 total=1024 elapsed_s=75 eta_s=101 %}')
    for told in ('value="42.7"', "42 %", "512 B of 1 KiB", "1 min 15 s so far", "about 1 min 41 s left"):
        assert told in html
