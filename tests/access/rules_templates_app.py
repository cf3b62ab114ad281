"""What the routes of templates ask for."""

from tests.access.rule import API_ARCHIVABLE, Rule, act, archivable, ask, pages, read, resource

TEMPLATES: dict[str, Rule] = {
    **pages(
        "templates_app",
        "template",
        "template",
        **archivable("template"),
        document=read("template"),
        merge=read("template"),
        merge_json=read("template"),
        **{"import": ask("")},
    ),
    **resource(
        "template",
        "template",
        **{action: act("template") for action in API_ARCHIVABLE},
        document=read("template"),
        revisions=read("template"),
        used_by=read("template"),
        **{"import": act("")},
    ),
    "merge": act("", "viewer"),
    "settings-schema": read(""),
}
