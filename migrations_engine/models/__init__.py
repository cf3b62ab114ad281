from migrations_engine.models.migrated import CreatedResource, MigratedVM
from migrations_engine.models.run import MigrationRun, RunEvent, StepRun
from migrations_engine.models.target import TargetEndpoint

__all__ = ["CreatedResource", "MigratedVM", "MigrationRun", "RunEvent", "StepRun", "TargetEndpoint"]
