from rest_framework.permissions import IsAuthenticated


class DepartmentPermission(IsAuthenticated):
    pass
