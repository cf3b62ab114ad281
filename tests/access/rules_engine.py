"""What the routes of the engine ask for."""

from tests.access.rule import NOBODY, Rule, act, ask, pages, read, resource

ENGINE: dict[str, Rule] = {
    "migrations_engine:run_list": read(""),
    "migrations_engine:run_create": ask("", "operator"),
    "migrations_engine:wizard": ask("", "operator"),
    **{f"migrations_engine:run_{page}": read("run") for page in ("detail", "live", "receipt")},
    "migrations_engine:run_cancel": ask("run", "operator"),
    "migrations_engine:run_retry": act("run", "operator"),
    **{
        f"migrations_engine:run_{page}": ask("run", "operator")
        for page in ("confirm", "rollback", "finalize", "clean_up")
    },
    "migrations_engine:target_orphans": Rule("target", get="admin", write=None),
    "migrations_engine:run_decide": ask("run", "operator", kwargs={"choice": "retry"}),
    "migrations_engine:migratedvm_list": read(""),
    "migrations_engine:migratedvm_detail": read("migrated"),
    "migrations_engine:migratedvm_console": read("migrated"),
    "migrations_engine:migratedvm_live": read("migrated"),
    "migrations_engine:migratedvm_power": ask("migrated", "operator", kwargs={"want": "off"}),
    "migrations_engine:migratedvm_delete": ask("migrated", "operator"),
    **pages("migrations_engine", "target", "target"),
    **resource(
        "migration",
        "run",
        write="operator",
        receipt=read("run"),
        support=Rule("run", get="operator", write=None),
        **{verb: act("run", "operator") for verb in ("cancel", "retry", "confirm", "rollback", "finalize", "clean_up")},
        decide=act("run", "operator", body={"choice": "retry"}),
    ),
    **resource(
        "migrated-vm",
        "migrated",
        write="operator",
        console=read("migrated"),
        power=act("migrated", "operator", body={"power": "off"}),
    ),
    **resource("target", "target", probe=read("target"), orphans=Rule("target", get="admin", write=None)),
    "plan": act("", "viewer"),
    **pages("migrations_engine", "webhook", "webhook", test=act("webhook")),
    "migrations_engine:delivery_replay": act("webhook_delivery"),
    **resource(
        "webhook",
        "webhook",
        deliveries=read("webhook"),
        test=act("webhook"),
        replay=act("webhook", kwargs={"delivery": "webhook_delivery"}),
    ),
    "receipt-key": read(""),
    "metrics": Rule(get=NOBODY, write=None),
    "migrations_engine:run_support": Rule("run", get="operator", write=None),
    **pages(
        "migrations_engine",
        "wave",
        "wave",
        write="operator",
        **{page: read("wave") for page in ("live", "report")},
        calendar=read(""),
        members=ask("wave", "operator"),
        windows=Rule("wave", write="operator"),
        act=ask("wave", "operator", kwargs={"verb": "start"}),
        report_file=read("wave", kwargs={"file_format": "csv"}),
        policy=ask("department"),
    ),
    "migrations_engine:member_edit": ask("wave_member", "operator"),
    "migrations_engine:member_remove": ask("wave_member", "operator"),
    "migrations_engine:window_remove": ask("wave_window", "operator"),
    **resource(
        "wave",
        "wave",
        write="operator",
        **{
            verb: act("wave", "operator")
            for verb in ("start", "approve", "send_back", "pause", "resume", "cancel", "retry_failed")
        },
        members=Rule("wave", write="operator"),
        windows=Rule("wave", write="operator"),
        report=read("wave"),
        report_csv=read("wave"),
    ),
    "wave-member-detail": Rule("wave_member", write="operator"),
    "wave-window-detail": Rule("wave_window", write="operator"),
}
