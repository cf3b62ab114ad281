import migrations_engine.domain.states
import migrations_engine.domain.terms
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('migrations_engine', '0001_initial'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='migrationrun',
            name='run_state_is_known',
        ),
        migrations.AddField(
            model_name='migrationrun',
            name='acknowledged',
            field=models.JSONField(default=list, help_text='Warnings taken with open eyes: [{"id", "text", "reason"}].'),
        ),
        migrations.AddField(
            model_name='migrationrun',
            name='checks_confirm',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='migrationrun',
            name='commit',
            field=models.CharField(choices=[('at_once', 'At once'), ('by_hand', 'When a person confirms it'), ('timed', 'Rolled back unless confirmed in time')], default=migrations_engine.domain.terms.Commit['AT_ONCE'], max_length=8),
        ),
        migrations.AddField(
            model_name='migrationrun',
            name='confirm_by',
            field=models.DateTimeField(db_index=True, help_text='Then it is rolled back by itself.', null=True),
        ),
        migrations.AddField(
            model_name='migrationrun',
            name='confirm_minutes',
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='migrationrun',
            name='finalized_at',
            field=models.DateTimeField(help_text='From then on it cannot be rolled back.', null=True),
        ),
        migrations.AddField(
            model_name='migrationrun',
            name='mode',
            field=models.CharField(choices=[('cold', 'Migration'), ('test', 'Test migration')], default=migrations_engine.domain.terms.Mode['COLD'], max_length=8),
        ),
        migrations.AddField(
            model_name='migrationrun',
            name='on_rollback',
            field=models.CharField(choices=[('remove', 'Remove the machine'), ('keep', 'Keep it, switched off')], default=migrations_engine.domain.terms.OnRollback['REMOVE'], max_length=8),
        ),
        migrations.AlterField(
            model_name='migrationrun',
            name='state',
            field=models.CharField(choices=[('queued', 'queued'), ('running', 'running'), ('cancelling', 'cancelling'), ('confirming', 'confirming'), ('rolling_back', 'rolling_back'), ('succeeded', 'succeeded'), ('failed', 'failed'), ('cancelled', 'cancelled'), ('rolled_back', 'rolled_back')], db_index=True, default=migrations_engine.domain.states.RunState['QUEUED'], max_length=12),
        ),
        migrations.AddConstraint(
            model_name='migrationrun',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['queued', 'running', 'cancelling', 'confirming', 'rolling_back', 'succeeded', 'failed', 'cancelled', 'rolled_back'])), name='run_state_is_known'),
        ),
    ]
