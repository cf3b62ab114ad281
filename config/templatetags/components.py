"""Template tags and filters that every page may use; README.md beside the component templates shows each of them."""

import json
from datetime import UTC, datetime
from typing import Any

from django import forms, template
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from config import quantities
from config.states import look_of
from personas.domain.drivers import driver_words
from personas.domain.scripts import entry_words
from personas.domain.security_groups import group_words

register = template.Library()

register.filter("bytes", quantities.format_bytes)
register.filter("mib", quantities.format_mib)
register.filter("gib", quantities.format_gib)
register.filter("percent", quantities.format_percent)
register.filter("duration", quantities.format_duration)


# --- small things ----------------------------------------------------------------------------------------------------


@register.simple_tag
def icon(name: str, label: str = "", extra: str = "") -> SafeString:
    """An icon of static/icons.svg. Decoration unless `label` says what it means."""
    heard = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    sprite = static("icons.svg")
    return format_html('<svg class="icon {}" {}><use href="{}#{}"></use></svg>', extra, heard, sprite, name)


@register.simple_tag
def state(value: Any, label: str = "") -> SafeString:
    """A pill with tone, icon and words; for run, step, scan, power, suggestion, verdict, concern (config/states.py)."""
    look = look_of(value)
    turning = "icon-turning" if str(value) == "running" else ""
    return format_html(
        '<span class="state state-{}">{}{}</span>',
        look.tone,
        icon(look.icon, extra=turning),
        label or look.label,
    )


@register.simple_tag
def stars(count: int | None, of: int = 5) -> SafeString:
    """Coverage: how complete the data are."""
    filled = count or 0
    drawn = format_html_join("", "{}", ((icon("star-filled" if n < filled else "star"),) for n in range(of)))
    told = f"{filled} of {of} stars" if count is not None else "not known"
    return format_html(
        '<span class="stars" role="img" aria-label="{}" title="{}">{}</span>', told, told, drawn
    )


@register.simple_tag
def when(moment: datetime | None, none: str = "never") -> SafeString:
    """Relative time; the absolute one in UTC as its title."""
    if moment is None:
        return format_html('<span class="text-secondary">{}</span>', none)
    utc = moment.astimezone(UTC)
    recent = abs((timezone.now() - moment).days) < 30
    told = naturaltime(moment) if recent else f"{utc:%Y-%m-%d}"
    absolute = f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), absolute, told)


@register.simple_tag
def fact(label: str, value: Any = None, none: str = "not known") -> SafeString:
    """One row of `<dl class="facts">`."""
    shown = value if value not in (None, "") else format_html('<span class="text-secondary">{}</span>', none)
    return format_html("<div><dt>{}</dt><dd>{}</dd></div>", label, shown)


@register.simple_block_tag
def fact_block(content: str, label: str) -> SafeString:
    return format_html("<div><dt>{}</dt><dd>{}</dd></div>", label, content)


@register.filter
def setting(value: Any) -> SafeString | str:
    """A value of a settings document: lists and maps as chips, null as what it means."""
    if value is None:
        return mark_safe('<span class="text-secondary fst-italic">not set</span>')
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return _chips(f"{key}: {_word(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return _chips(_word(each) for each in value)
    return str(value)


def _chips(words) -> SafeString:
    chips = format_html_join("", '<span class="chip">{}</span>', ((word,) for word in words))
    if not chips:
        return mark_safe('<span class="text-secondary">none</span>')
    return format_html('<span class="chips">{}</span>', chips)


def _word(value: Any) -> str:
    """One item of a list: a script by its name, a check by its kind and where it looks, a driver and a security group
    with what they hold."""
    if isinstance(value, dict):
        if "rules" in value:
            return group_words(value)
        if "kernel_modules" in value:
            return driver_words(value)
        if "name" in value:
            return entry_words(value)
        told = {"kind": value.get("kind"), **value}  # first, whatever the order of the keys
        return " ".join(
            name if each is True else str(each)
            for name, each in told.items()
            if each is not None and each is not False
        )
    return "not set" if value is None else str(value)


@register.filter
def words(value: Any) -> str:
    """A name of the code as a person would write it: `post_script` is "Post script"."""
    return str(value).replace("_", " ").capitalize()


@register.filter
def pretty_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


# --- blocks ----------------------------------------------------------------------------------------------------------


@register.simple_block_tag
def card(
    content: str, title: str = "", icon_name: str = "", extra: str = "", flush: bool = False
) -> SafeString:
    """A card; `flush` for a table or list that touches its edges."""
    drawn = icon(icon_name, extra="card-icon") if icon_name else ""
    head = (
        format_html('<div class="card-header"><h2 class="card-title">{}{}</h2></div>', drawn, title)
        if title
        else ""
    )
    body = content if flush else format_html('<div class="card-body">{}</div>', content)
    return format_html('<section class="card {}">{}{}</section>', extra, head, body)


@register.simple_block_tag
def fieldset(content: str, legend: str, help: str = "") -> SafeString:
    told = format_html('<p class="form-hint">{}</p>', help) if help else ""
    return format_html(
        '<fieldset class="form-fieldset"><legend>{}</legend>{}{}</fieldset>', legend, told, content
    )


@register.simple_block_tag
def poll(content: str, url: str, every: str = "1s", id: str = "live") -> SafeString:
    """Content that the server renews until it answers 286. Elements inside that are pressed or scrolled need an id."""
    return format_html(
        '<div id="{}" hx-get="{}" hx-trigger="every {}" hx-swap="innerHTML" data-poll>{}</div>',
        id,
        url,
        every,
        content,
    )


@register.simple_block_tag
def empty(
    content: str, title: str, icon_name: str = "folder-open", url: str = "", action: str = ""
) -> SafeString:
    """Nothing there yet: what it would be, and the one thing to do."""
    button = ""
    if url and action:
        button = format_html('<a class="btn btn-primary" href="{}">{}{}</a>', url, icon("plus"), action)
    return format_html(
        '<div class="empty">{}<h2 class="empty-title">{}</h2><div class="empty-subtitle">{}</div>'
        '<div class="empty-action">{}</div></div>',
        icon(icon_name, extra="empty-icon"),
        title,
        content,
        button,
    )


@register.inclusion_tag("components/progress.html")
def progress(label, percent=None, done=None, total=None, elapsed_s=None, eta_s=None, message=""):
    """`percent` 0..100 or None (moving, extent unknown); `done` and `total` in bytes; times in seconds."""
    return {
        "label": label,
        "percent": percent,
        "done": done,
        "total": total,
        "elapsed_s": elapsed_s,
        "eta_s": eta_s,
        "message": message,
    }


@register.inclusion_tag("components/code.html")
def code(text, name="", id="", log=False):
    """A block of text in fixed width with a copy button; `log=True` scrolls and follows the end (then give an `id`)."""
    return {"text": text, "name": name, "id": id, "log": log}


@register.inclusion_tag("components/chart.html")
def chart(src, label, unit="", height=220):
    """A uPlot chart of the JSON at `src`; its shape is in static/js/charts.js. `height` in CSS pixels."""
    return {"src": src, "label": label, "unit": unit, "height": height}


# --- forms -----------------------------------------------------------------------------------------------------------


WIDGET_CLASSES = [
    (forms.CheckboxSelectMultiple, ""),  # its boxes are drawn one by one
    (forms.RadioSelect, ""),
    (forms.CheckboxInput, "form-check-input"),
    (forms.Select, "form-select"),
    (forms.Widget, "form-control"),
]


@register.inclusion_tag("components/field.html")
def field(
    bound: forms.BoundField, label="", monospace=False, rows=0, help="", unknown="Not said", boxes=False
):
    """Label, control, help and errors of one field, tied together for assistive technology.

    `unknown`: what a choice offers for "none of these"; `boxes`: a choice of several as boxes to tick, not as a list.
    """
    widget = bound.field.widget
    _name_no_choice(bound.field, unknown)
    return {
        "field": bound,
        "label": label or bound.label,
        "help": help or bound.help_text,
        "kind": _kind(widget, boxes),
        "control": _control(bound, monospace or isinstance(bound.field, forms.JSONField), rows),
    }


def _kind(widget: forms.Widget, boxes: bool) -> str:
    if isinstance(widget, forms.CheckboxSelectMultiple) or (
        boxes and isinstance(widget, forms.SelectMultiple)
    ):
        return "boxes"  # asked first: in Django's family tree it is a RadioSelect
    if isinstance(widget, forms.RadioSelect):
        return "radio"
    return "checkbox" if isinstance(widget, forms.CheckboxInput) else "plain"


DASHES = "---------"
"""What Django calls no choice where the form did not say it better."""


def _name_no_choice(field: forms.Field, name: str) -> None:
    widget = field.widget
    if isinstance(widget, forms.NullBooleanSelect):
        widget.choices = [("unknown", name), *list(widget.choices)[1:]]
    elif getattr(field, "empty_label", None) == DASHES:
        field.empty_label = "Choose …" if field.required else name
    elif isinstance(widget, forms.Select):
        choices = list(widget.choices)
        if choices and choices[0] == ("", DASHES):
            widget.choices = [("", "Choose …" if field.required else name), *choices[1:]]


def _control(bound: forms.BoundField, monospace: bool, rows: int) -> SafeString:
    widget = bound.field.widget
    classes = [
        widget.attrs.get("class", ""),
        next(css for kind, css in WIDGET_CLASSES if isinstance(widget, kind)),
    ]
    if bound.errors:
        classes.append("is-invalid")
    if monospace:
        classes.append("font-monospace")
    attrs: dict[str, Any] = {"class": " ".join(filter(None, classes))}
    if isinstance(widget, forms.Textarea):
        attrs["rows"] = rows or _rows(bound)
        if monospace:
            attrs |= {"spellcheck": "false", "autocapitalize": "off"}
    return bound.as_widget(attrs=attrs)


def _rows(bound: forms.BoundField) -> int:
    return min(24, max(3, str(bound.value() or "").count("\n") + 2))


@register.inclusion_tag("components/form_errors.html")
def form_errors(form: forms.BaseForm):
    """What is wrong, on top of the form: it takes the focus, and each line leads to its field."""
    return {"form": form, "wrong": [form[name] for name in form.errors if name in form.fields]}


# --- lists -----------------------------------------------------------------------------------------------------------


@register.simple_tag(takes_context=True)
def column(context, key: str, label: str, extra: str = "") -> SafeString:
    """A header that sorts by `?ordering=key`, `-key` at the second press."""
    query = context["request"].GET.copy()
    current = query.get("ordering", "")
    rising = current == key
    query["ordering"] = f"-{key}" if rising else key
    query.pop("page", None)
    arrow = "arrow-up" if rising else "arrow-down" if current == f"-{key}" else "arrows-sort"
    order = (
        format_html(' aria-sort="{}"', "ascending" if rising else "descending")
        if arrow != "arrows-sort"
        else ""
    )
    return format_html(
        '<th scope="col" class="{}"{}><a class="column" id="sort-{}" href="?{}" {}>{}{}</a></th>',
        extra,
        order,
        key,
        query.urlencode(),
        LIST_SWAP,
        label,
        icon(arrow),
    )


LIST_SWAP = mark_safe(
    'hx-boost="true" hx-target="#list" hx-select="#list" hx-swap="outerHTML show:none" hx-push-url="true"'
)
"""Renews the list only. The server answers with the whole page as ever; htmx takes the part that it needs."""


@register.simple_tag
def list_swap() -> SafeString:
    return LIST_SWAP


@register.simple_tag(takes_context=True)
def active_filters(context) -> list[str]:
    """Names of the query's parameters that narrow the list."""
    query = context["request"].GET
    told = {name: set(query.getlist(name)) - NO_CHOICE for name in query}
    return [name for name, values in told.items() if values and name not in ("page", "ordering", "page_size")]


@register.simple_tag(takes_context=True)
def filter_fields(context, filterset) -> dict[str, Any]:
    """{"search": field or None, "others": [field], "narrowing": how many of the others are in use}."""
    fields = {bound.name: bound for bound in filterset.form.visible_fields()}
    search = fields.pop("search", None)
    fields.pop("ordering", None)
    in_use = set(active_filters(context)) & {bound.html_name for bound in fields.values()}
    return {"search": search, "others": list(fields.values()), "narrowing": len(in_use)}


NO_CHOICE = {"", "unknown"}
"""What an empty box and a yes-no-either choice send when nothing was chosen."""
