"""What the routes of selling ask for."""

from tests.access.rule import NOBODY, Rule, act, ask, read, resource

SELLING: dict[str, Rule] = {
    **{
        f"marketplace:{page}": ask("listing")
        for page in ("price_set", "order_create", "trial_start", "listing_try")
    },
    "marketplace:order_list": read(""),
    "marketplace:order_detail": read("order"),
    **{f"marketplace:order_{page}": ask("order") for page in ("cancel", "refund")},
    **{f"marketplace:{page}": ask("order", NOBODY) for page in ("order_confirm", "refund_done")},
    "marketplace:subscription_list": read(""),
    "marketplace:subscription_cancel": ask("subscription"),
    "marketplace:subscription_keep": act("subscription"),
    "marketplace:account_list": read(""),
    **{f"marketplace:account_{page}": read("account") for page in ("detail", "csv", "series")},
    "marketplace:credits_transfer": ask(""),
    "marketplace:payout_create": ask("account"),
    "marketplace:desk": Rule(get=NOBODY, write=None),
    **{f"marketplace:{page}": ask("", NOBODY) for page in ("fee_set", "credits_grant", "budget_set")},
    "marketplace:payout_settle": ask("payout", NOBODY),
    **resource(
        "order",
        "order",
        cancel=act("order"),
        refund=act("order"),
        confirm=act("order", NOBODY),
        refunded=act("order", NOBODY),
    ),
    **resource("entitlement", "entitlement", write=None),
    **resource(
        "subscription", "subscription", write=None, cancel=act("subscription"), keep=act("subscription")
    ),
    **resource("account", "account", write=None, statement=read("account"), statement_csv=read("account")),
    **resource("payout", "payout", settle=act("payout", NOBODY, body={"is_paid": True})),
    "budget-list": Rule(write=NOBODY),
    "credit-transfer": act(""),
    "grant": act("", NOBODY),
    "fee": Rule(write=NOBODY),
    "payment-events": Rule(public=True, kwargs={"provider": "stripe"}),
}
