import django.db.models.deletion
import migrations_engine.domain.terms
import migrations_engine.domain.waves
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('analyzer', '0004_packed_usage'),
        ('migrations_engine', '0002_run_terms'),
        ('personas', '0004_run_allowances_and_outcomes'),
        ('templates_app', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Dispatcher',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('held_until', models.DateTimeField(null=True)),
                ('token', models.UUIDField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Wave',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=80)),
                ('description', models.TextField(blank=True, max_length=2000)),
                ('rule', models.CharField(blank=True, help_text='The rule that members were last added by.', max_length=2000)),
                ('mode', models.CharField(choices=[('cold', 'Migration'), ('test', 'Test migration')], default=migrations_engine.domain.terms.Mode['COLD'], max_length=8)),
                ('commit', models.CharField(choices=[('at_once', 'At once'), ('by_hand', 'When a person confirms it'), ('timed', 'Rolled back unless confirmed in time')], default=migrations_engine.domain.terms.Commit['AT_ONCE'], max_length=8)),
                ('confirm_minutes', models.PositiveIntegerField(blank=True, null=True)),
                ('checks_confirm', models.BooleanField(default=False)),
                ('on_rollback', models.CharField(choices=[('remove', 'Remove the machine'), ('keep', 'Keep it, switched off')], default=migrations_engine.domain.terms.OnRollback['REMOVE'], max_length=8)),
                ('concurrency', models.PositiveSmallIntegerField(default=2, help_text='Runs of this wave at once.')),
                ('per_source', models.PositiveSmallIntegerField(blank=True, help_text='Runs at once from one source.', null=True)),
                ('per_target', models.PositiveSmallIntegerField(blank=True, help_text='Runs at once to one target.', null=True)),
                ('bandwidth_mbps', models.PositiveIntegerField(blank=True, help_text='Start no run where the mean demand of those at work would exceed it.', null=True)),
                ('stop_after', models.PositiveSmallIntegerField(blank=True, help_text='Failures after which nothing more is started.', null=True)),
                ('forgiven', models.PositiveIntegerField(default=0, help_text='Failures that a person has looked at.')),
                ('minutes_each', models.PositiveIntegerField(blank=True, help_text='How long one machine takes; empty: forecast from earlier runs.', null=True)),
                ('needs_approval', models.BooleanField(default=False, help_text='Somebody approves it before it starts anything.')),
                ('state', models.CharField(choices=[('draft', 'draft'), ('approval', 'approval'), ('running', 'running'), ('paused', 'paused'), ('stopped', 'stopped'), ('finished', 'finished'), ('cancelled', 'cancelled')], db_index=True, default=migrations_engine.domain.waves.WaveState['DRAFT'], max_length=10)),
                ('reason', models.CharField(blank=True, help_text='Why it is in this state.', max_length=300)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('after', models.ForeignKey(blank=True, help_text='Starts nothing before that wave is finished.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='followers', to='migrations_engine.wave')),
                ('approved_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('department', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='waves', to='personas.department')),
                ('persona', models.ForeignKey(blank=True, help_text="Empty: what each machine carries, else the template's own.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='waves', to='personas.persona')),
                ('started_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('target', models.ForeignKey(blank=True, help_text="Empty: the department's own, or the organisation's.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='waves', to='migrations_engine.targetendpoint')),
                ('template', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='waves', to='templates_app.migrationtemplate')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='WaveMember',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('overrides', models.JSONField(blank=True, default=dict)),
                ('order', models.PositiveIntegerField(default=100)),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('starting', 'starting'), ('started', 'started'), ('refused', 'refused')], default=migrations_engine.domain.waves.MemberState['WAITING'], max_length=8)),
                ('attempt', models.PositiveSmallIntegerField(default=1)),
                ('claimed_at', models.DateTimeField(blank=True, null=True)),
                ('error', models.TextField(blank=True)),
                ('persona', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='personas.persona')),
                ('run', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='wave_member', to='migrations_engine.migrationrun')),
                ('vm', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='wave_members', to='analyzer.virtualmachine')),
                ('wave', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='members', to='migrations_engine.wave')),
            ],
            options={
                'ordering': ['wave', 'order', 'id'],
            },
        ),
        migrations.CreateModel(
            name='WavePolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('four_eyes', models.BooleanField(default=False, help_text='Every wave is approved by somebody else than the one who started it.')),
                ('department', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='wave_policy', to='personas.department')),
            ],
        ),
        migrations.CreateModel(
            name='WaveWindow',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('weekly', models.BooleanField(default=False)),
                ('wave', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='windows', to='migrations_engine.wave')),
            ],
            options={
                'ordering': ['starts_at'],
            },
        ),
        migrations.AddConstraint(
            model_name='wave',
            constraint=models.UniqueConstraint(fields=('department', 'name'), name='wave_name_in_department'),
        ),
        migrations.AddConstraint(
            model_name='wave',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['draft', 'approval', 'running', 'paused', 'stopped', 'finished', 'cancelled'])), name='wave_state_is_known'),
        ),
        migrations.AddIndex(
            model_name='wavemember',
            index=models.Index(fields=['wave', 'state', 'order'], name='migrations__wave_id_0d1b62_idx'),
        ),
        migrations.AddConstraint(
            model_name='wavemember',
            constraint=models.UniqueConstraint(fields=('wave', 'vm'), name='one_member_per_vm_and_wave'),
        ),
        migrations.AddConstraint(
            model_name='wavewindow',
            constraint=models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at'))), name='window_ends_after_it_starts'),
        ),
    ]
