"""What the routes of personas ask for."""

from tests.access.rule import API_ARCHIVABLE, NOBODY, Rule, act, archivable, ask, pages, part, read, resource

PERSONAS: dict[str, Rule] = {
    **pages(
        "personas",
        "persona",
        "persona",
        **archivable("persona"),
        document=read("persona"),
        **{"import": ask("")},
    ),
    **resource(
        "persona",
        "persona",
        **{action: act("persona") for action in API_ARCHIVABLE},
        document=read("persona"),
        revisions=read("persona"),
        used_by=read("persona"),
        **{"import-": act("")},
    ),
    **part("driverset"),
    **part("resourceprofile"),
    **part("networkprofile"),
    **pages("personas", "script", "script", approve=act("script"), **archivable("script")),
    **resource(
        "script",
        "script",
        approve=act("script", body={"sha256": "0"}),
        **{action: act("script") for action in API_ARCHIVABLE},
        revisions=read("script"),
        used_by=read("script"),
    ),
    **pages(
        "personas",
        "department",
        "department",
        create=ask("", NOBODY),
        detail=Rule("department"),
        delete=ask("department", NOBODY),
    ),
    "personas:member_remove": ask("department", kwargs={"user": "member"}),
    **resource(
        "department",
        "department",
        list=Rule(write=NOBODY),
        detail=Rule("department", delete=NOBODY),
        members=Rule("department"),
        member=act("department", kwargs={"user": "member"}),
    ),
    "personas:token_list": Rule(write=None),
    "personas:token_create": Rule(write="viewer"),
    "personas:token_revoke": Rule("token", own=True, write="viewer"),
    **resource("token", "token", list=Rule(write="viewer"), detail=Rule("token", own=True, write="viewer")),
    "personas:audit_list": Rule(write=None),
    **resource("auditentry", "audit", write=None),
}
