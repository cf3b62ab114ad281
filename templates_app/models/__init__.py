from templates_app.models.template import MigrationTemplate, MigrationTemplateRevision

__all__ = ["MigrationTemplate", "MigrationTemplateRevision"]
