import config.kernel.ids
import django.db.models.deletion
import pgtrigger.compiler
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('holds', '0001_initial'), ('holds', '0002_initial'), ('holds', '0003_agreements_by_key'), ('holds', '0004_changes'), ('holds', '0005_purge_of_ended_holds'), ('holds', '0006_waitlist')]

    initial = True

    dependencies = [
        ('bookings', '0001_baseline'),
        ('members', '0001_baseline'),
    ]

    operations = [
        migrations.CreateModel(
            name='FreedTime',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('kept_until', models.DateTimeField()),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='bookings.resource')),
            ],
        ),
        migrations.CreateModel(
            name='Hold',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('token', models.CharField(default=config.kernel.ids.new_token, editable=False, max_length=40, unique=True)),
                ('state', models.CharField(default='active', max_length=10)),
                ('version', models.PositiveIntegerField(default=0)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('lapses_at', models.DateTimeField()),
                ('extended_at', models.DateTimeField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('ended_because', models.CharField(blank=True, max_length=300)),
                ('has_open_checkout', models.BooleanField(default=False)),
                ('visitor', models.CharField(blank=True, help_text='The browser that holds it.', max_length=64)),
                ('address', models.GenericIPAddressField(blank=True, null=True)),
                ('booking', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='holds', to='bookings.booking')),
                ('change', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='holds', to='bookings.change')),
                ('member', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='holds', to=settings.AUTH_USER_MODEL)),
                ('workspace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='holds', to='members.workspace')),
            ],
            options={
                'indexes': [models.Index(models.F('lapses_at'), condition=models.Q(('state', 'active')), name='hold_lapsing'), models.Index(models.F('ended_at'), condition=models.Q(('state', 'active'), _negated=True), name='hold_ended'), models.Index(fields=['workspace', '-created_at'], name='hold_newest'), models.Index(models.F('visitor'), condition=models.Q(('state', 'active')), name='hold_of_visitor'), models.Index(models.F('address'), condition=models.Q(('state', 'active')), name='hold_of_address')],
                'constraints': [models.UniqueConstraint(fields=('booking', 'change'), name='hold_once_per_purpose', nulls_distinct=False), models.CheckConstraint(condition=models.Q(('expires_at__gte', models.F('created_at')), ('lapses_at__gte', models.F('expires_at'))), name='hold_times_in_order')],
                'triggers': [pgtrigger.compiler.Trigger(name='transitions', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NOT NEW.state = ANY (ARRAY['active']) THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'hold_first_state', TABLE = TG_TABLE_NAME, MESSAGE = 'a hold cannot start there';\n                END IF;\n            ELSIF NEW.state IS DISTINCT FROM OLD.state THEN\n                IF NOT (OLD.state || '>' || NEW.state) = ANY (ARRAY['active>confirmed', 'active>expired', 'active>released', 'expired>confirmed']::text[]) THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'hold_transition', TABLE = TG_TABLE_NAME, MESSAGE = 'a hold cannot make this move';\n                END IF;\n                IF NEW.version <> OLD.version + 1 THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'hold_version', TABLE = TG_TABLE_NAME, MESSAGE = 'a move raises the version by one';\n                END IF;\n            END IF;\n            RETURN NEW;\n        ", hash='5bb65c43962a5efd63f1837a16ae1351dccb3ef8', operation='INSERT OR UPDATE OF "state"', pgid='pgtrigger_transitions_bd3e9', table='holds_hold', when='BEFORE')), pgtrigger.compiler.Trigger(name='gives_way', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n        IF NEW.change_id IS NULL\n           AND current_setting('surehold.offering', true) IS DISTINCT FROM 'on'\n           AND EXISTS (\n            SELECT 1 FROM bookings_line l\n            JOIN holds_freedtime f\n              ON f.resource_id = l.resource_id AND f.kept_until > clock_timestamp()\n            JOIN holds_waitlistentry e\n              ON e.resource_id = l.resource_id AND e.state = 'waiting'\n             AND e.starts_at < l.ends_at AND e.ends_at > l.starts_at\n            WHERE l.booking_id = NEW.booking_id\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23P01', CONSTRAINT = 'hold_gives_way_to_the_line', TABLE = TG_TABLE_NAME, MESSAGE = 'others wait for that time';\n        END IF;\n        RETURN NULL;\n    ", hash='deb190ccc6dd1b4f4b63fd7aaaa858c357de3125', operation='INSERT', pgid='pgtrigger_gives_way_5b089', table='holds_hold', when='AFTER')), pgtrigger.compiler.Trigger(name='keep_rows', sql=pgtrigger.compiler.UpsertTriggerSql(func="IF \n    current_setting('surehold.purging', true) = 'on' AND OLD.state <> 'active'\n    AND OLD.ended_at < clock_timestamp() - interval '1 day'\n    AND EXISTS (\n        SELECT 1 FROM bookings_booking b WHERE b.id = OLD.booking_id\n        AND (b.state IN ('released', 'expired')\n             OR (b.state IN ('completed', 'no_show', 'cancelled') AND b.total_minor = 0)))\n THEN RETURN OLD; END IF; RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'hold_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='e2f6adba9df05c37400da7f1ce639320f7ca4431', operation='DELETE', pgid='pgtrigger_keep_rows_1b389', table='holds_hold', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_table', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'hold_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='f0df9e895663f6495b1e68ecefcacc61760d2ad5', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_keep_table_d1fde', table='holds_hold', when='BEFORE')), pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', func="\n                    IF NEW.workspace_id IS DISTINCT FROM (\n                        SELECT b.workspace_id FROM bookings_booking b WHERE b.id = NEW.booking_id\n                    ) THEN\n                        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'hold_within_workspace', TABLE = TG_TABLE_NAME, MESSAGE = 'a hold stays in its workspace';\n                    END IF;\n                    IF NEW.change_id IS NOT NULL AND NEW.booking_id IS DISTINCT FROM (\n                        SELECT c.booking_id FROM bookings_change c WHERE c.id = NEW.change_id\n                    ) THEN\n                        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'hold_within_booking', TABLE = TG_TABLE_NAME, MESSAGE = 'a hold stays with its booking';\n                    END IF;\n                    RETURN NULL;\n                ", hash='5a00ab2a8bd3ec73f3a88ef60550b6e7c79fd5d5', operation='INSERT OR UPDATE OF "booking_id", "workspace_id", "change_id"', pgid='pgtrigger_belongs_e9736', table='holds_hold', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER'))],
            },
        ),
        migrations.CreateModel(
            name='WaitlistEntry',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('token', models.CharField(default=config.kernel.ids.new_token, editable=False, max_length=40, unique=True)),
                ('state', models.CharField(default='waiting', max_length=10)),
                ('version', models.PositiveIntegerField(default=0)),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('duration_seconds', models.PositiveIntegerField()),
                ('last_start_at', models.DateTimeField()),
                ('quantity', models.PositiveIntegerField(default=1)),
                ('email', models.EmailField(max_length=254)),
                ('name', models.CharField(blank=True, max_length=200)),
                ('visitor', models.CharField(blank=True, help_text='The browser that asked.', max_length=64)),
                ('queued_at', models.DateTimeField()),
                ('offered_at', models.DateTimeField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('ended_because', models.CharField(blank=True, max_length=300)),
                ('hold', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='waited_for', to='holds.hold')),
                ('member', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='waitlist', to=settings.AUTH_USER_MODEL)),
                ('resource', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='waitlist', to='bookings.resource')),
                ('workspace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='waitlist', to='members.workspace')),
            ],
            options={
                'verbose_name_plural': 'waitlist entries',
                'indexes': [models.Index(models.F('resource'), models.F('queued_at'), models.F('id'), condition=models.Q(('state', 'waiting')), name='waitlist_line'), models.Index(models.F('last_start_at'), condition=models.Q(('state', 'waiting')), name='waitlist_ending'), models.Index(models.F('workspace'), models.F('email'), condition=models.Q(('state__in', ('waiting', 'offered'))), name='waitlist_of_email'), models.Index(models.F('visitor'), condition=models.Q(('state__in', ('waiting', 'offered'))), name='waitlist_of_visitor'), models.Index(fields=['workspace', '-queued_at'], name='waitlist_newest')],
                'constraints': [models.UniqueConstraint(models.F('resource'), models.F('email'), models.F('starts_at'), models.F('ends_at'), models.F('duration_seconds'), condition=models.Q(('state__in', ('waiting', 'offered'))), name='waitlist_once_per_person'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'offered'), _negated=True), ('hold__isnull', False), _connector='OR'), name='waitlist_offer_is_a_hold'), models.CheckConstraint(condition=models.Q(('duration_seconds__gte', 1), ('ends_at__gt', models.F('starts_at')), ('last_start_at__gte', models.F('starts_at')), ('last_start_at__lt', models.F('ends_at')), ('quantity__gte', 1)), name='waitlist_times_in_order')],
                'triggers': [pgtrigger.compiler.Trigger(name='transitions', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NOT NEW.state = ANY (ARRAY['waiting']) THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'waitlist_first_state', TABLE = TG_TABLE_NAME, MESSAGE = 'a waitlist cannot start there';\n                END IF;\n            ELSIF NEW.state IS DISTINCT FROM OLD.state THEN\n                IF NOT (OLD.state || '>' || NEW.state) = ANY (ARRAY['offered>passed', 'offered>taken', 'passed>left', 'passed>removed', 'passed>taken', 'waiting>left', 'waiting>offered', 'waiting>over', 'waiting>removed', 'waiting>taken']::text[]) THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'waitlist_transition', TABLE = TG_TABLE_NAME, MESSAGE = 'a waitlist cannot make this move';\n                END IF;\n                IF NEW.version <> OLD.version + 1 THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'waitlist_version', TABLE = TG_TABLE_NAME, MESSAGE = 'a move raises the version by one';\n                END IF;\n            END IF;\n            RETURN NEW;\n        ", hash='832ff764baef214b4a42fff3c08bedf09ed1d637', operation='INSERT OR UPDATE OF "state"', pgid='pgtrigger_transitions_5bbb6', table='holds_waitlistentry', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_rows', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'waitlist_entry_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='142cf64406117ad5616cdd49530912dc60a07d4d', operation='DELETE', pgid='pgtrigger_keep_rows_c51da', table='holds_waitlistentry', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_table', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'waitlist_entry_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='562fdd04fd3ed9e1f9edd2620bac63f4cbfe9bc9', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_keep_table_46c25', table='holds_waitlistentry', when='BEFORE')), pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', func="\n                    IF NEW.workspace_id IS DISTINCT FROM (\n                        SELECT r.workspace_id FROM bookings_resource r WHERE r.id = NEW.resource_id\n                    ) OR (NEW.hold_id IS NOT NULL AND NEW.workspace_id IS DISTINCT FROM (\n                        SELECT h.workspace_id FROM holds_hold h WHERE h.id = NEW.hold_id\n                    )) THEN\n                        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'waitlist_within_workspace', TABLE = TG_TABLE_NAME, MESSAGE = 'it stays in its workspace';\n                    END IF;\n                    RETURN NULL;\n                ", hash='8fe64c274310a535c8e5c210fb47a8831f648db8', operation='INSERT OR UPDATE OF "workspace_id", "resource_id", "hold_id"', pgid='pgtrigger_belongs_f8603', table='holds_waitlistentry', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER'))],
            },
        ),
    ]
