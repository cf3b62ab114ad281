"""Mixin for endpoints that are no full OwnedViewSet: the rows that the reader may see, and no others."""


class VisibleRows:
    def get_queryset(self):
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return rows.none()
        return rows.visible_to(self.request.user)
