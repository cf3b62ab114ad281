import django.db.models.deletion
import migrations_engine.domain.webhooks
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('migrations_engine', '0004_power_requests'),
        ('personas', '0004_run_allowances_and_outcomes'),
    ]

    operations = [
        migrations.CreateModel(
            name='Webhook',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=80)),
                ('url', models.URLField(help_text="https://…; no address of this server's own network.", max_length=500)),
                ('events', models.JSONField(blank=True, default=list)),
                ('secret', models.TextField(help_text='Ciphertext; shown once, when it is made.')),
                ('is_enabled', models.BooleanField(default=True)),
                ('department', models.ForeignKey(blank=True, help_text="Empty: the organisation's, seen by all.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='personas.department')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('message_id', models.CharField(db_index=True, max_length=64)),
                ('event', models.CharField(max_length=32)),
                ('payload', models.JSONField()),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('delivered', 'delivered'), ('failed', 'failed')], default=migrations_engine.domain.webhooks.DeliveryState['WAITING'], max_length=10)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('next_at', models.DateTimeField(db_index=True, null=True)),
                ('status', models.PositiveSmallIntegerField(help_text='HTTP status of the last try.', null=True)),
                ('error', models.CharField(blank=True, max_length=300)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('delivered_at', models.DateTimeField(null=True)),
                ('webhook', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='migrations_engine.webhook')),
            ],
            options={
                'verbose_name_plural': 'webhook deliveries',
                'ordering': ['-created_at'],
            },
        ),
        migrations.AddConstraint(
            model_name='webhook',
            constraint=models.UniqueConstraint(fields=('department', 'name'), name='webhook_name_in_department'),
        ),
        migrations.AddConstraint(
            model_name='webhook',
            constraint=models.UniqueConstraint(condition=models.Q(('department__isnull', True)), fields=('name',), name='webhook_name_in_organisation'),
        ),
    ]
