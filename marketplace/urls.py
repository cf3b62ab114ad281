from django.urls import path

from marketplace.views import installing, listings, publishing, submissions

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
]
