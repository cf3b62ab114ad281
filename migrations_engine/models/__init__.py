from migrations_engine.models.cutover import Cutover
from migrations_engine.models.migrated import CreatedResource, MigratedVM
from migrations_engine.models.run import MigrationRun, RunEvent, StepRun
from migrations_engine.models.target import Hypervisor, TargetEndpoint
from migrations_engine.models.warm import WarmCopy
from migrations_engine.models.wave import Dispatcher, Wave, WaveMember, WavePolicy, WaveWindow
from migrations_engine.models.webhook import Webhook, WebhookDelivery

__all__ = [
    "CreatedResource",
    "Cutover",
    "Dispatcher",
    "Hypervisor",
    "MigratedVM",
    "MigrationRun",
    "RunEvent",
    "StepRun",
    "TargetEndpoint",
    "WarmCopy",
    "Wave",
    "WaveMember",
    "WavePolicy",
    "WaveWindow",
    "Webhook",
    "WebhookDelivery",
]
