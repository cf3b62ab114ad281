from django.urls import path

from marketplace.views import accounts, installing, listings, publishing, selling, submissions, trying

app_name = "marketplace"
urlpatterns = [
    path("", listings.ListingList.as_view(), name="listing_list"),
    path("publish/", publishing.Publish.as_view(), name="publish"),
    path("listings/<uuid:pk>/", listings.ListingDetail.as_view(), name="listing_detail"),
    path("listings/<uuid:pk>/edit/", publishing.ListingEdit.as_view(), name="listing_edit"),
    path("submissions/", submissions.SubmissionList.as_view(), name="submission_list"),
    path("submissions/<uuid:pk>/", submissions.SubmissionDetail.as_view(), name="submission_detail"),
    path(
        "submissions/<uuid:pk>/approve/", submissions.SubmissionApprove.as_view(), name="submission_approve"
    ),
    path("submissions/<uuid:pk>/refuse/", submissions.SubmissionRefuse.as_view(), name="submission_refuse"),
    path("listings/<uuid:pk>/release/", publishing.ReleaseCreate.as_view(), name="release_create"),
    path("releases/<uuid:pk>/yank/", publishing.ReleaseYank.as_view(), name="release_yank"),
    path("releases/<uuid:pk>/install/", installing.Install.as_view(), name="release_install"),
    path("installed/", installing.InstallationList.as_view(), name="installation_list"),
    path("installed/<uuid:pk>/update/", installing.Update.as_view(), name="installation_update"),
    path("installed/<uuid:pk>/uninstall/", installing.Uninstall.as_view(), name="installation_delete"),
    path("listings/<uuid:pk>/price/", selling.PriceSet.as_view(), name="price_set"),
    path("listings/<uuid:pk>/buy/", selling.OrderCreate.as_view(), name="order_create"),
    path("listings/<uuid:pk>/trial/", selling.TrialStart.as_view(), name="trial_start"),
    path("listings/<uuid:pk>/try/", trying.Forecast.as_view(), name="listing_try"),
    path("orders/", selling.OrderList.as_view(), name="order_list"),
    path("orders/<uuid:pk>/", selling.OrderDetail.as_view(), name="order_detail"),
    path("orders/<uuid:pk>/cancel/", selling.OrderCancel.as_view(), name="order_cancel"),
    path("orders/<uuid:pk>/refund/", selling.OrderRefund.as_view(), name="order_refund"),
    path("orders/<uuid:pk>/confirm/", selling.OrderConfirm.as_view(), name="order_confirm"),
    path("orders/<uuid:pk>/refunded/", selling.RefundDone.as_view(), name="refund_done"),
    path("accounts/", accounts.AccountList.as_view(), name="account_list"),
    path("accounts/transfer/", accounts.CreditsTransfer.as_view(), name="credits_transfer"),
    path("accounts/<uuid:pk>/", accounts.AccountDetail.as_view(), name="account_detail"),
    path("accounts/<uuid:pk>/statement.csv", accounts.account_csv, name="account_csv"),
    path("accounts/<uuid:pk>/series/", accounts.account_series, name="account_series"),
    path("accounts/<uuid:pk>/payout/", accounts.PayoutCreate.as_view(), name="payout_create"),
    path("desk/", accounts.Desk.as_view(), name="desk"),
    path("desk/fee/", accounts.FeeSet.as_view(), name="fee_set"),
    path("desk/grant/", accounts.CreditsGrant.as_view(), name="credits_grant"),
    path("desk/budget/", accounts.BudgetSet.as_view(), name="budget_set"),
    path("desk/payouts/<uuid:pk>/", accounts.PayoutSettle.as_view(), name="payout_settle"),
]
