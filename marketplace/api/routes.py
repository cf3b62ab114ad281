"""What this app adds to API v1: `ROUTES` for viewsets (prefix, viewset, basename), `PATHS` for single endpoints."""

from django.urls import path

from marketplace.api import catalogues, keys, moderation, reviews, selling, viewsets

ROUTES: list = [
    ("publishers", viewsets.PublisherViewSet, "publisher"),
    ("listings", viewsets.ListingViewSet, "listing"),
    ("submissions", viewsets.SubmissionViewSet, "submission"),
    ("releases", viewsets.ReleaseViewSet, "release"),
    ("catalogues", catalogues.CatalogueViewSet, "catalogue"),
    ("trusted-keys", keys.TrustedKeyViewSet, "trustedkey"),
    ("reviews", reviews.ReviewViewSet, "review"),
    ("takedowns", moderation.TakedownViewSet, "takedown"),
    ("abuse-reports", moderation.AbuseReportViewSet, "abusereport"),
    ("installations", viewsets.InstallationViewSet, "installation"),
    ("orders", selling.OrderViewSet, "order"),
    ("entitlements", selling.EntitlementViewSet, "entitlement"),
    ("subscriptions", selling.SubscriptionViewSet, "subscription"),
    ("accounts", selling.AccountViewSet, "account"),
    ("budgets", selling.BudgetViewSet, "budget"),
    ("payouts", selling.PayoutViewSet, "payout"),
]
PATHS: list = [
    path("payments/<slug:provider>/events/", selling.PaymentEvents.as_view(), name="payment-events"),
    path("credit-transfers/", selling.CreditTransfer.as_view(), name="credit-transfer"),
    path("grants/", selling.Grant.as_view(), name="grant"),
    path("feed-keys/", keys.FeedKeys.as_view(), name="feed-keys"),
    path("feed-keys/rotate/", keys.FeedKeyRotate.as_view(), name="feed-keys-rotate"),
    path("feed-keys/revoke/", keys.FeedKeyRevoke.as_view(), name="feed-keys-revoke"),
    path("fee/", selling.Fee.as_view(), name="fee"),
]
