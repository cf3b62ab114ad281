"""Who reaches the endpoints of selling; the services decide the rest."""

from rest_framework.permissions import SAFE_METHODS

from personas.models import Department
from personas.permissions import DepartmentPermission


class OrderPermission(DepartmentPermission):
    """An order has two sides: an admin of either may write to it."""

    def has_object_permission(self, request, view, order):
        if request.method in SAFE_METHODS or request.user.is_superuser:
            return True
        sides = [order.department_id, order.listing.publisher.department_id]
        return Department.objects.administered_by(request.user).filter(pk__in=sides).exists()


class BuyerPermission(DepartmentPermission):
    """What is about somebody else's listing, for an admin of any department."""

    def has_object_permission(self, request, view, listing):
        return True


class SuperuserWrites(DepartmentPermission):
    def has_permission(self, request, view):
        if not super().has_permission(request, view):
            return False
        self.message = "This belongs to the whole organisation; only a superuser may change it."
        return request.method in SAFE_METHODS or request.user.is_superuser
