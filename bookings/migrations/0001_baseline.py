import config.kernel.ids
import datetime
import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import django.contrib.postgres.indexes
import django.contrib.postgres.operations
import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.db.models.lookups
import encrypted_fields.fields
import members.rules
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('bookings', '0001_initial'), ('bookings', '0002_initial'), ('bookings', '0003_agreements_by_key'), ('bookings', '0004_money_back'), ('bookings', '0005_lines_by_resource_and_time'), ('bookings', '0006_changes'), ('bookings', '0007_occupancies_stay'), ('bookings', '0008_lines_cancelled'), ('bookings', '0009_series'), ('bookings', '0010_opening_times'), ('bookings', '0011_prices_and_discounts'), ('bookings', '0012_add_ons'), ('bookings', '0013_near_locations'), ('bookings', '0014_policies'), ('bookings', '0015_calendars')]

    initial = True

    dependencies = [
        ('members', '0001_baseline'),
    ]

    operations = [
        django.contrib.postgres.operations.BtreeGistExtension(
        ),
        migrations.CreateModel(
            name='LimitedWorkspace',
            fields=[
            ],
            options={
                'proxy': True,
                'indexes': [],
                'constraints': [],
            },
            bases=('members.workspace',),
        ),
        migrations.CreateModel(
            name='Booking',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('reference', models.CharField(default=config.kernel.ids.new_reference, editable=False, max_length=12)),
                ('email', models.EmailField(blank=True, help_text='Where mails go; guests have no account.', max_length=254)),
                ('name', models.CharField(blank=True, max_length=200)),
                ('state', models.CharField(default='pending_payment', max_length=20)),
                ('version', models.PositiveIntegerField(default=0)),
                ('currency', models.CharField(max_length=3)),
                ('total_minor', models.PositiveBigIntegerField()),
                ('price', models.JSONField(help_text='The quote as it was when the slot was held.')),
                ('policy', models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict, help_text='The cancellation policy as it was then, line by line.')),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('created_at', models.DateTimeField()),
                ('approval_ttl_seconds', models.PositiveIntegerField(blank=True, help_text='Staff approve it first, within so long; null: nobody.', null=True)),
                ('requested_at', models.DateTimeField(blank=True, null=True)),
                ('approved_at', models.DateTimeField(blank=True, null=True)),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('member', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='bookings', to=settings.AUTH_USER_MODEL)),
                ('workspace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='bookings', to='members.workspace')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='BookingEvent',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('kind', models.CharField(max_length=40)),
                ('from_state', models.CharField(blank=True, max_length=20)),
                ('to_state', models.CharField(blank=True, max_length=20)),
                ('version', models.PositiveIntegerField()),
                ('actor_kind', models.CharField(max_length=10)),
                ('actor_id', models.CharField(blank=True, max_length=40)),
                ('actor_label', models.CharField(blank=True, max_length=200)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('request_id', models.CharField(blank=True, max_length=64)),
                ('data', models.JSONField(default=dict)),
                ('booking', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='bookings.booking')),
            ],
            options={
                'ordering': ['at', 'id'],
                'triggers': [pgtrigger.compiler.Trigger(name='keep_rows', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'booking_event_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='2553cf30adaf7d1b54a73c771c4471fac9fedac8', operation='DELETE', pgid='pgtrigger_keep_rows_fc29c', table='bookings_bookingevent', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_table', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'booking_event_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='5ce94224a57a230b447cd4eb098bd58df8c28fc9', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_keep_table_2da2e', table='bookings_bookingevent', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_content', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'booking_event_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table never change';", hash='8a1ff53cfd5932e7a5b20024466f8c8a3835a0c2', operation='UPDATE', pgid='pgtrigger_keep_content_ec202', table='bookings_bookingevent', when='BEFORE'))],
            },
        ),
        migrations.CreateModel(
            name='CalendarConnection',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=120)),
                ('kind', models.CharField(choices=[('caldav', 'CalDAV: iCloud, Fastmail, Nextcloud, Radicale'), ('google', 'Google Calendar'), ('ics', 'An address of an ICS file, to read')], max_length=6)),
                ('url', models.URLField(blank=True, max_length=1000, verbose_name='address')),
                ('username', models.CharField(blank=True, max_length=254)),
                ('password', encrypted_fields.fields.EncryptedCharField(blank=True, default='', max_length=254, null=True)),
                ('refresh_token', encrypted_fields.fields.EncryptedTextField(blank=True, default='', editable=False, null=True)),
                ('access_token', encrypted_fields.fields.EncryptedTextField(blank=True, default='', editable=False, null=True)),
                ('access_token_expires_at', models.DateTimeField(editable=False, null=True)),
                ('state', models.CharField(choices=[('waiting', 'Waiting for consent'), ('connected', 'Connected'), ('needs_consent', 'Refuses our credentials: connect it again'), ('disconnected', 'Disconnected')], default='connected', editable=False, max_length=13)),
                ('max_age_seconds', models.PositiveIntegerField(default=300, help_text='In seconds; older ones are read again before something is held.', validators=[django.core.validators.MinValueValidator(10), django.core.validators.MaxValueValidator(86400)], verbose_name='busy times are good for')),
                ('sync_token', models.TextField(blank=True, editable=False)),
                ('etag', models.CharField(blank=True, editable=False, max_length=500)),
                ('read_at', models.DateTimeField(editable=False, null=True)),
                ('read_failing_since', models.DateTimeField(editable=False, null=True)),
                ('read_error', models.CharField(blank=True, editable=False, max_length=500)),
                ('next_read_at', models.DateTimeField(editable=False, null=True)),
                ('reading_until', models.DateTimeField(editable=False, null=True)),
                ('written_at', models.DateTimeField(editable=False, null=True)),
                ('write_failing_since', models.DateTimeField(editable=False, null=True)),
                ('write_error', models.CharField(blank=True, editable=False, max_length=500)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('disconnected_at', models.DateTimeField(editable=False, null=True)),
                ('created_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('owner', models.ForeignKey(blank=True, help_text="Whose calendar it is; blank for the workspace's own.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='calendars', to=settings.AUTH_USER_MODEL)),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='calendars', to='members.workspace')),
            ],
            options={
                'ordering': ['name', 'id'],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['caldav', 'google', 'ics'])), name='calendar_kind'), models.CheckConstraint(condition=models.Q(('state__in', ['waiting', 'connected', 'needs_consent', 'disconnected'])), name='calendar_state')],
                'triggers': [pgtrigger.compiler.Trigger(name='stays', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD."workspace_id" IS DISTINCT FROM (NEW."workspace_id") OR OLD."kind" IS DISTINCT FROM (NEW."kind"))', func="RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'calendar_stays', TABLE = TG_TABLE_NAME, MESSAGE = 'a calendar stays what and whose it is';", hash='db61052be7b0a7e292c1e36e9ea9b72abd2436a0', operation='UPDATE OF "workspace_id", "kind"', pgid='pgtrigger_stays_9abde', table='bookings_calendarconnection', when='BEFORE'))],
            },
        ),
        migrations.CreateModel(
            name='Category',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('slug', models.SlugField(max_length=60)),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='categories', to='members.workspace')),
            ],
            options={
                'verbose_name_plural': 'categories',
                'ordering': ['name'],
                'constraints': [models.UniqueConstraint(models.F('workspace'), models.F('slug'), name='category_slug_unique')],
            },
        ),
        migrations.CreateModel(
            name='Change',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('state', models.CharField(default='pending', max_length=10)),
                ('version', models.PositiveIntegerField(default=0)),
                ('base_version', models.PositiveIntegerField()),
                ('lines', models.JSONField()),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('difference_minor', models.BigIntegerField(help_text='Owed, or below zero: to be given back.')),
                ('created_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('booking', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='bookings.booking')),
            ],
            options={
                'ordering': ['created_at'],
                'constraints': [models.UniqueConstraint(models.F('booking'), condition=models.Q(('state', 'pending')), name='change_one_pending_per_booking'), models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at'))), name='change_window_in_order')],
                'triggers': [pgtrigger.compiler.Trigger(name='transitions', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NOT NEW.state = ANY (ARRAY['pending']) THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'change_first_state', TABLE = TG_TABLE_NAME, MESSAGE = 'a change cannot start there';\n                END IF;\n            ELSIF NEW.state IS DISTINCT FROM OLD.state THEN\n                IF NOT (OLD.state || '>' || NEW.state) = ANY (ARRAY['expired>committed', 'pending>committed', 'pending>expired', 'pending>released']::text[]) THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'change_transition', TABLE = TG_TABLE_NAME, MESSAGE = 'a change cannot make this move';\n                END IF;\n                IF NEW.version <> OLD.version + 1 THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'change_version', TABLE = TG_TABLE_NAME, MESSAGE = 'a move raises the version by one';\n                END IF;\n            END IF;\n            RETURN NEW;\n        ", hash='fd0d8e27f252da41a74ab2dae9a73852a0adf58b', operation='INSERT OR UPDATE OF "state"', pgid='pgtrigger_transitions_ef8cc', table='bookings_change', when='BEFORE')), pgtrigger.compiler.Trigger(name='agrees_with_occupancies', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', declare='DECLARE subject uuid; booking_state text; made_here boolean;', func="subject := NEW.booking_id; \n    SELECT state INTO booking_state FROM bookings_booking\n    WHERE id = subject FOR SHARE;\n    IF booking_state = 'confirmed' AND EXISTS (\n        SELECT 1 FROM bookings_line l CROSS JOIN LATERAL (\n            SELECT l.starts_at AS at\n            UNION ALL SELECT upper(o.during) FROM bookings_occupancy o\n            WHERE o.line_id = l.id AND o.released_at IS NULL AND o.lapses_at IS NULL\n              AND upper(o.during) > l.starts_at AND upper(o.during) < l.ends_at\n        ) AS moment\n        WHERE l.booking_id = subject AND l.cancelled_at IS NULL AND l.quantity > (\n            SELECT coalesce(sum(o.quantity), 0) FROM bookings_occupancy o\n            WHERE o.line_id = l.id AND o.booking_id = subject\n              AND o.resource_id = l.resource_id\n              AND o.released_at IS NULL AND o.lapses_at IS NULL\n              AND o.during @> moment.at\n        )\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'confirmed_booking_has_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a confirmed booking holds its slots';\n    END IF;\n    IF booking_state = 'confirmed' AND NOT EXISTS (\n        SELECT 1 FROM bookings_line l WHERE l.booking_id = subject AND l.cancelled_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'confirmed_booking_has_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a confirmed booking has lines';\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_line l JOIN bookings_occupancy o ON o.line_id = l.id\n        WHERE l.booking_id = subject AND l.cancelled_at IS NOT NULL\n          AND o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'cancelled_line_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a line given up holds nothing';\n    END IF;\n    IF booking_state IN ('expired', 'released', 'cancelled') AND EXISTS (\n        SELECT 1 FROM bookings_occupancy o\n        WHERE o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'ended_booking_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'an ended booking holds nothing';\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_change c JOIN bookings_occupancy o ON o.change_id = c.id\n        WHERE c.booking_id = subject AND c.state IN ('expired', 'released')\n          AND o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'ended_change_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'an ended change holds nothing';\n    END IF;\n    RETURN NULL;\n", hash='477f69e42257c378624f6a8d94ff648b92dd5048', operation='UPDATE OF "state"', pgid='pgtrigger_agrees_with_occupancies_318ba', table='bookings_change', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')), pgtrigger.compiler.Trigger(name='keep_rows', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'booking_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='07faec96c41f652a2357293684c4e2b191abee66', operation='DELETE', pgid='pgtrigger_keep_rows_0990a', table='bookings_change', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_table', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'booking_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='3ca7c9b57ca0a805635000917f239853cb474308', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_keep_table_e6d85', table='bookings_change', when='BEFORE'))],
            },
        ),
        migrations.CreateModel(
            name='Discount',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('code', models.CharField(help_text='What members type. Capital or small letters are the same.', max_length=40, validators=[django.core.validators.RegexValidator('^\\S+$', 'A code has no spaces.')])),
                ('percent', models.PositiveSmallIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100)])),
                ('amount_minor', models.PositiveBigIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)])),
                ('valid_from', models.DateTimeField(blank=True, null=True)),
                ('valid_until', models.DateTimeField(blank=True, null=True)),
                ('min_total_minor', models.PositiveBigIntegerField(db_default=0, default=0)),
                ('max_uses', models.PositiveIntegerField(blank=True, help_text='Blank for any number.', null=True, verbose_name='uses in all')),
                ('max_uses_each', models.PositiveIntegerField(blank=True, help_text='By e-mail address and by member. Blank for any number.', null=True, verbose_name='uses by one person')),
                ('is_active', models.BooleanField(db_default=True, default=True, verbose_name='can be used')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('workspace', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='discounts', to='members.workspace')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='DiscountUse',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('email', models.EmailField(blank=True, max_length=254)),
                ('created_at', models.DateTimeField()),
                ('booking', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='discount_use', to='bookings.booking')),
                ('discount', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='uses', to='bookings.discount')),
                ('member', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='discount_uses', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-created_at'],
                'triggers': [pgtrigger.compiler.Trigger(name='within_limits', sql=pgtrigger.compiler.UpsertTriggerSql(declare='DECLARE most integer; most_each integer; used bigint; used_each bigint; u bookings_discountuse;', func="\n        u := NEW;\n        \n    SELECT max_uses, max_uses_each INTO most, most_each\n    FROM bookings_discount WHERE id = u.discount_id;\n    IF most IS NULL AND most_each IS NULL THEN RETURN NEW; END IF;\n    \n    IF current_setting('transaction_isolation') <> 'read committed' THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'discount_read_committed', TABLE = TG_TABLE_NAME, MESSAGE = 'claims need READ COMMITTED: a snapshot oversells';\n    END IF;\n\n    PERFORM 1 FROM bookings_discount WHERE id = u.discount_id FOR NO KEY UPDATE;\n    SELECT count(*), count(*) FILTER (\n        WHERE (o.email = u.email AND u.email <> '') OR o.member_id = u.member_id\n    ) INTO used, used_each\n    FROM bookings_discountuse o JOIN bookings_booking b ON b.id = o.booking_id\n    WHERE o.discount_id = u.discount_id AND o.booking_id <> u.booking_id\n      AND b.state NOT IN ('expired', 'released', 'cancelled');\n\n        \n    IF used_each >= most_each THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'discount_max_uses_each', TABLE = TG_TABLE_NAME, MESSAGE = 'they have used the code as often as one may';\n    END IF;\n\n        IF TG_OP = 'INSERT' THEN\n            \n    IF used >= most THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'discount_max_uses', TABLE = TG_TABLE_NAME, MESSAGE = 'the code has been used as often as it can be';\n    END IF;\n\n        END IF;\n        RETURN NEW;\n    ", hash='61a4f2b072669159ff70a6eaf7770cd9c6088744', operation='INSERT OR UPDATE OF "email", "member_id"', pgid='pgtrigger_within_limits_4c383', table='bookings_discountuse', when='BEFORE')), pgtrigger.compiler.Trigger(name='stays', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n        IF (NEW.discount_id, NEW.booking_id) <> (OLD.discount_id, OLD.booking_id) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'discount_use_stays', TABLE = TG_TABLE_NAME, MESSAGE = 'a use stays with its booking';\n        END IF;\n        RETURN NEW;\n    ", hash='d3438db357dc61b195d9ed1f6d250d01651620f9', operation='UPDATE OF "discount_id", "booking_id"', pgid='pgtrigger_stays_16235', table='bookings_discountuse', when='BEFORE')), pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', func="\n        IF NOT EXISTS (\n            SELECT 1 FROM bookings_discount d JOIN bookings_booking b\n              ON b.workspace_id = d.workspace_id\n            WHERE d.id = NEW.discount_id AND b.id = NEW.booking_id\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'discount_within_workspace', TABLE = TG_TABLE_NAME, MESSAGE = 'the code is another workspace''s';\n        END IF;\n        RETURN NULL;\n    ", hash='22f434b558e11a1184975a86e267ff7342916778', operation='INSERT', pgid='pgtrigger_belongs_c9753', table='bookings_discountuse', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')), pgtrigger.compiler.Trigger(name='keep_rows', sql=pgtrigger.compiler.UpsertTriggerSql(func="IF EXISTS (SELECT 1 FROM bookings_booking b WHERE b.id = OLD.booking_id AND b.state = 'pending_payment') THEN RETURN OLD; END IF; RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'discount_use_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='4071bf5dad74141360af7c9c1eb3b5ebca86c7f3', operation='DELETE', pgid='pgtrigger_keep_rows_13837', table='bookings_discountuse', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_table', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'discount_use_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='5b1e4de469f19b5bf1016430681f54b6a2bc6faf', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_keep_table_e0229', table='bookings_discountuse', when='BEFORE'))],
            },
        ),
        migrations.CreateModel(
            name='Line',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('quantity', models.PositiveIntegerField(default=1)),
                ('amount_minor', models.PositiveBigIntegerField()),
                ('price', models.JSONField(default=list, help_text='The parts that add up to the amount.')),
                ('cancelled_at', models.DateTimeField(blank=True, help_text='Given up while the rest of its booking stands.', null=True)),
                ('booking', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='bookings.booking')),
                ('parent', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='add_ons', to='bookings.line')),
            ],
            options={
                'ordering': ['position'],
            },
        ),
        migrations.CreateModel(
            name='Location',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('slug', models.SlugField(max_length=60)),
                ('address', models.TextField(blank=True)),
                ('directions', models.TextField(blank=True, help_text='How to find the door.')),
                ('timezone', models.CharField(max_length=64, validators=[members.rules.validate_timezone])),
                ('latitude', models.FloatField(blank=True, help_text='In degrees, north positive; with the longitude, for finding what is near.', null=True, validators=[django.core.validators.MinValueValidator(-90), django.core.validators.MaxValueValidator(90)])),
                ('longitude', models.FloatField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(-180), django.core.validators.MaxValueValidator(180)])),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='locations', to='members.workspace')),
            ],
            options={
                'ordering': ['name'],
                'constraints': [models.UniqueConstraint(models.F('workspace'), models.F('slug'), name='location_slug_unique'), models.CheckConstraint(condition=models.Q(models.Q(('latitude', None), ('longitude', None)), models.Q(('latitude__range', (-90, 90)), ('longitude__range', (-180, 180))), _connector='OR'), name='location_on_earth', violation_error_message='Give latitude and longitude, in degrees, or neither.')],
            },
        ),
        migrations.CreateModel(
            name='Resource',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=120)),
                ('slug', models.SlugField(max_length=60)),
                ('description', models.TextField(blank=True)),
                ('picture', models.ImageField(blank=True, upload_to='resources/')),
                ('picture_alt', models.CharField(blank=True, help_text='What the picture shows.', max_length=200)),
                ('seats', models.PositiveIntegerField(blank=True, null=True)),
                ('mode', models.CharField(choices=[('exclusive', 'Exclusive: one booking at a time'), ('pooled', 'Pooled: several interchangeable units')], default='exclusive', max_length=9)),
                ('capacity', models.PositiveIntegerField(default=1)),
                ('is_active', models.BooleanField(default=True, verbose_name='bookable')),
                ('visibility', models.CharField(choices=[('public', 'Everybody'), ('members', 'Members: whoever is signed in'), ('groups', 'Members of the groups below')], db_default='public', default='public', help_text='Nobody else sees it or can book it.', max_length=7, verbose_name='for')),
                ('only_with_others', models.BooleanField(db_default=False, default=False, help_text='A pool that is booked together with something else, and not by itself.', verbose_name='only as an add-on')),
                ('position', models.PositiveIntegerField(default=0)),
                ('step_seconds', models.PositiveIntegerField(default=1800, validators=[django.core.validators.MinValueValidator(300), django.core.validators.MaxValueValidator(86400)])),
                ('min_seconds', models.PositiveIntegerField(default=3600)),
                ('max_seconds', models.PositiveIntegerField(default=28800)),
                ('buffer_before_seconds', models.PositiveIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(86400)])),
                ('buffer_after_seconds', models.PositiveIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(86400)])),
                ('notice_seconds', models.PositiveIntegerField(default=0, help_text='How long before the start.')),
                ('horizon_days', models.PositiveIntegerField(default=90, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(730)])),
                ('horizon_opens_at', models.TimeField(blank=True, help_text='The time of day at which the next day can be booked; blank: from minute to minute.', null=True, verbose_name='released at')),
                ('booking_unit', models.CharField(choices=[('time', 'Time: any start on the step'), ('day', 'Days or nights: from check-in to check-out')], db_default='time', default='time', max_length=4, verbose_name='booked by')),
                ('day_starts_at', models.TimeField(db_default=datetime.time(15, 0), default=datetime.time(15, 0), verbose_name='check-in')),
                ('day_ends_at', models.TimeField(db_default=datetime.time(11, 0), default=datetime.time(11, 0), help_text='At or before check-in: on the next day.', verbose_name='check-out')),
                ('min_days', models.PositiveSmallIntegerField(db_default=1, default=1, verbose_name='shortest, in days or nights')),
                ('max_days', models.PositiveSmallIntegerField(db_default=14, default=14, verbose_name='longest, in days or nights')),
                ('hold_ttl_seconds', models.PositiveIntegerField(blank=True, help_text="Blank for the workspace's.", null=True, validators=[django.core.validators.MinValueValidator(60), django.core.validators.MaxValueValidator(7200)])),
                ('needs_approval', models.BooleanField(db_default=False, default=False, help_text='Staff approve each request; a card is held.')),
                ('approval_ttl_seconds', models.PositiveIntegerField(db_default=86400, default=86400, help_text='How long staff have. A bank keeps an authorisation about 7 days.', validators=[django.core.validators.MinValueValidator(3600), django.core.validators.MaxValueValidator(518400)])),
                ('cancel_free_hours', models.PositiveIntegerField(blank=True, help_text="Blank for the workspace's policy.", null=True)),
                ('cancel_partial_hours', models.PositiveIntegerField(blank=True, null=True)),
                ('cancel_partial_percent', models.PositiveSmallIntegerField(blank=True, null=True, validators=[django.core.validators.MaxValueValidator(100)])),
                ('cancel_fee_minor', models.PositiveBigIntegerField(blank=True, null=True)),
                ('tax_basis_points', models.PositiveIntegerField(blank=True, help_text="1500 is 15 per cent. Blank for the workspace's.", null=True, validators=[django.core.validators.MaxValueValidator(10000)])),
                ('tax_is_added', models.BooleanField(blank=True, help_text='Or included in them. Unknown for as the workspace has it.', null=True, verbose_name='tax is added to the prices')),
                ('category', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='resources', to='bookings.category')),
                ('location', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='resources', to='bookings.location')),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='resources', to='members.workspace')),
            ],
            options={
                'ordering': ['position', 'name'],
                'constraints': [models.UniqueConstraint(models.F('workspace'), models.F('slug'), name='resource_slug_unique'), models.CheckConstraint(condition=models.Q(models.Q(('capacity', 1), ('mode', 'exclusive')), models.Q(('capacity__gte', 0), ('mode', 'pooled')), _connector='OR'), name='resource_capacity_fits_mode', violation_error_message='An exclusive resource has a capacity of 1.'), models.CheckConstraint(condition=models.Q(('only_with_others', False), ('mode', 'pooled'), _connector='OR'), name='resource_only_with_others_is_a_pool', violation_error_message='Only a pool can be an add-on.'), models.CheckConstraint(condition=models.Q(('max_seconds__gte', models.F('min_seconds')), ('min_seconds__gt', 0), ('step_seconds__gt', 0)), name='resource_durations_in_order', violation_error_message='The longest duration is shorter than the shortest.'), models.CheckConstraint(condition=models.Q(('max_days__gte', models.F('min_days')), ('max_days__lte', 365), ('min_days__gte', 1)), name='resource_days_in_order', violation_error_message='Give 1 to 365 days, the longest not below the shortest.'), models.CheckConstraint(condition=models.Q(('booking_unit__in', ['time', 'day'])), name='resource_booking_unit'), models.CheckConstraint(condition=models.Q(models.Q(('cancel_fee_minor', None), ('cancel_free_hours', None), ('cancel_partial_hours', None), ('cancel_partial_percent', None)), models.Q(('cancel_fee_minor__isnull', False), ('cancel_free_hours__isnull', False), ('cancel_partial_hours__isnull', False), ('cancel_partial_hours__lte', models.F('cancel_free_hours')), ('cancel_partial_percent__lte', 100)), _connector='OR'), name='resource_cancel_terms_whole', violation_error_message="Give all of the cancellation policy, or none for the workspace's. The share given back applies after the free hours."), models.CheckConstraint(condition=models.Q(('approval_ttl_seconds__range', (3600, 518400))), name='resource_approval_ttl_range'), models.CheckConstraint(condition=models.Q(('hold_ttl_seconds', None), ('hold_ttl_seconds__range', (60, 7200)), _connector='OR'), name='resource_hold_ttl_range')],
                'triggers': [pgtrigger.compiler.Trigger(name='guard', sql=pgtrigger.compiler.UpsertTriggerSql(declare='DECLARE pool uuid; span tstzrange; skip uuid; peak bigint;', func="\n        IF NEW.mode <> OLD.mode AND EXISTS (\n            SELECT 1 FROM bookings_occupancy WHERE resource_id = OLD.id\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'resource_mode_is_fixed_once_used', TABLE = TG_TABLE_NAME, MESSAGE = 'the mode is fixed once booked';\n        END IF;\n        IF NEW.mode <> OLD.mode AND EXISTS (\n            SELECT 1 FROM bookings_addon WHERE pool_id = OLD.id\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'resource_is_offered_as_an_add_on', TABLE = TG_TABLE_NAME, MESSAGE = 'an add-on is a pool';\n        END IF;\n        IF NEW.workspace_id <> OLD.workspace_id THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'resource_stays_in_workspace', TABLE = TG_TABLE_NAME, MESSAGE = 'a resource stays in its workspace';\n        END IF;\n        IF NEW.mode = 'pooled' AND NEW.capacity < OLD.capacity THEN\n            pool := OLD.id;\n            span := tstzrange(clock_timestamp(), NULL);\n            skip := '00000000-0000-0000-0000-000000000000';\n            \n    SELECT coalesce(max(used), 0) INTO peak FROM (\n        SELECT sum(step.units) OVER (ORDER BY step.at, step.units) AS used\n        FROM (\n            SELECT o.during, o.quantity FROM bookings_occupancy o\n            WHERE o.resource_id = pool AND o.released_at IS NULL AND NOT o.exclusive\n              AND o.id <> skip AND o.during && span\n            UNION ALL\n            SELECT b.during, b.quantity FROM bookings_block b\n            WHERE b.resource_id = pool AND b.during && span\n        ) AS use CROSS JOIN LATERAL (VALUES\n            (greatest(lower(use.during), lower(span)), use.quantity),\n            (upper(use.during), -use.quantity)\n        ) AS step(at, units)\n    ) AS uses;\n\n            IF peak > NEW.capacity THEN\n                RAISE EXCEPTION USING ERRCODE = '23P01', CONSTRAINT = 'resource_capacity_covers_bookings', TABLE = TG_TABLE_NAME, MESSAGE = 'more is booked than that';\n            END IF;\n        END IF;\n        RETURN NEW;\n    ", hash='4da6523e316181f447445c873ee07d6244562a1b', operation='UPDATE OF "mode", "capacity", "workspace_id", "location_id"', pgid='pgtrigger_guard_72921', table='bookings_resource', when='BEFORE')), pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', func="\n        IF NOT EXISTS (\n            SELECT 1 FROM bookings_location l\n            WHERE l.id = NEW.location_id AND l.workspace_id = NEW.workspace_id\n        ) OR NOT EXISTS (\n            SELECT 1 FROM bookings_category c\n            WHERE c.id = NEW.category_id AND c.workspace_id = NEW.workspace_id\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'resource_within_workspace', TABLE = TG_TABLE_NAME, MESSAGE = 'these are another workspace''s';\n        END IF;\n        RETURN NULL;\n    ", hash='d708b922e6d398113f884ae26dea361a1a42e252', operation='INSERT OR UPDATE OF "location_id", "category_id", "workspace_id"', pgid='pgtrigger_belongs_df489', table='bookings_resource', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')), pgtrigger.compiler.Trigger(name='keep_rows', sql=pgtrigger.compiler.UpsertTriggerSql(func="IF NOT EXISTS (SELECT 1 FROM bookings_line WHERE resource_id = OLD.id) THEN RETURN OLD; END IF; RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'resource_with_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='d558575b6a054ee907760f22c87fb041daee3843', operation='DELETE', pgid='pgtrigger_keep_rows_05598', table='bookings_resource', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_table', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'resource_with_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='c5eada91ec4865efca425d09a39886d7f7dcfbed', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_keep_table_58c0a', table='bookings_resource', when='BEFORE'))],
            },
        ),
        migrations.CreateModel(
            name='PriceRule',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('per_hour', 'per hour'), ('per_step', 'per started step'), ('per_day', 'per day'), ('per_booking', 'per booking'), ('minimum', 'minimum charge')], max_length=12)),
                ('amount_minor', models.PositiveBigIntegerField(help_text='In minor units: 4500 is NZ$45.00.')),
                ('label', models.CharField(blank=True, max_length=80)),
                ('priority', models.PositiveSmallIntegerField(db_default=0, default=0, help_text='0 is a basic price: those add up. From 1 on it stands in place of them.')),
                ('step_seconds', models.PositiveIntegerField(blank=True, help_text="For “per started step”: how long one is. Blank for the resource's.", null=True, validators=[django.core.validators.MinValueValidator(60)])),
                ('from_seconds', models.PositiveIntegerField(db_default=0, default=0, help_text="From so long after the booking's start.")),
                ('until_seconds', models.PositiveIntegerField(blank=True, help_text="Until so long after the booking's start.", null=True)),
                ('weekdays', models.CharField(blank=True, db_default='', default='', help_text='0 is Monday; blank for every day.', max_length=7, validators=[django.core.validators.RegexValidator('^[0-6]*$')])),
                ('from_time', models.TimeField(blank=True, null=True)),
                ('to_time', models.TimeField(blank=True, null=True)),
                ('first_day', models.DateField(blank=True, null=True)),
                ('last_day', models.DateField(blank=True, null=True)),
                ('from_quantity', models.PositiveIntegerField(db_default=1, default=1, validators=[django.core.validators.MinValueValidator(1)])),
                ('group', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='price_rules', to='members.membergroup')),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='price_rules', to='bookings.resource')),
            ],
            options={
                'ordering': ['kind', 'priority', 'amount_minor'],
                'constraints': [models.CheckConstraint(condition=models.Q(('until_seconds', None), ('until_seconds__gt', models.F('from_seconds')), _connector='OR'), name='price_tier_in_order', violation_error_message='That part of the booking ends before it begins.'), models.CheckConstraint(condition=models.Q(('first_day', None), ('last_day', None), ('last_day__gte', models.F('first_day')), _connector='OR'), name='price_season_in_order', violation_error_message='The season ends before it begins.'), models.CheckConstraint(condition=models.Q(('from_time', None), ('to_time', None), models.Q(('from_time', models.F('to_time')), _negated=True), _connector='OR'), name='price_time_of_day', violation_error_message='Give two different times of day, or none.'), models.CheckConstraint(condition=models.Q(('from_quantity__gte', 1), ('weekdays__regex', '^[0-6]*$'), models.Q(('step_seconds', None), ('step_seconds__gt', 0), _connector='OR')), name='price_conditions_make_sense', violation_error_message='Weekdays are 0 to 6; quantities and steps start at one.')],
                'triggers': [pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', func="\n                    IF NEW.group_id IS NOT NULL AND NOT EXISTS (\n                        SELECT 1 FROM members_membergroup g JOIN bookings_resource r\n                          ON r.workspace_id = g.workspace_id\n                        WHERE g.id = NEW.group_id AND r.id = NEW.resource_id\n                    ) THEN\n                        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'price_within_workspace', TABLE = TG_TABLE_NAME, MESSAGE = 'the group is another workspace''s';\n                    END IF;\n                    RETURN NULL;\n                ", hash='c38d62bcb1a5c61ba2def989cdf9281c03edf195', operation='INSERT OR UPDATE OF "group_id", "resource_id"', pgid='pgtrigger_belongs_599c5', table='bookings_pricerule', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER'))],
            },
        ),
        migrations.CreateModel(
            name='OpeningHours',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('weekday', models.PositiveSmallIntegerField(choices=[(0, 'Monday'), (1, 'Tuesday'), (2, 'Wednesday'), (3, 'Thursday'), (4, 'Friday'), (5, 'Saturday'), (6, 'Sunday')])),
                ('opens_at', models.TimeField()),
                ('closes_at', models.TimeField(help_text='At or before opening: on the next day. 00:00: midnight.')),
                ('location', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='opening_hours', to='bookings.location')),
                ('resource', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='opening_hours', to='bookings.resource')),
            ],
            options={
                'verbose_name_plural': 'opening hours',
                'ordering': ['weekday', 'opens_at'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('location', None), ('resource__isnull', False)), models.Q(('location__isnull', False), ('resource', None)), _connector='OR'), name='opening_hours_of_one_owner', violation_error_message='Opening hours belong to a location or to a resource.'), models.CheckConstraint(condition=models.Q(('weekday__range', (0, 6))), name='opening_hours_weekday')],
            },
        ),
        migrations.CreateModel(
            name='OpeningException',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField(verbose_name='date')),
                ('spans', models.CharField(blank=True, default='', help_text='As in “09:00-12:00, 13:00-17:00”; blank for closed.', max_length=120, validators=[django.core.validators.RegexValidator('^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$')], verbose_name='open')),
                ('label', models.CharField(blank=True, help_text='Shown as the reason.', max_length=80)),
                ('location', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='%(class)ss', to='bookings.location')),
                ('resource', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='%(class)ss', to='bookings.resource')),
            ],
            options={
                'ordering': ['day'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('location', None), ('resource__isnull', False)), models.Q(('location__isnull', False), ('resource', None)), _connector='OR'), name='opening_exception_of_one_owner', violation_error_message='It belongs to a location or to a resource.'), models.UniqueConstraint(models.F('location'), models.F('day'), name='opening_exception_once_at_location', violation_error_message='There is an exception for that date already.'), models.UniqueConstraint(models.F('resource'), models.F('day'), name='opening_exception_once_at_resource', violation_error_message='There is an exception for that date already.'), models.CheckConstraint(condition=models.Q(('spans__regex', '^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$')), name='opening_exception_spans')],
            },
        ),
        migrations.CreateModel(
            name='Occupancy',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('during', django.contrib.postgres.fields.ranges.DateTimeRangeField()),
                ('quantity', models.PositiveIntegerField(default=1)),
                ('exclusive', models.BooleanField(help_text="Follows the resource's mode; the guard sees to it.")),
                ('lapses_at', models.DateTimeField(blank=True, null=True)),
                ('released_at', models.DateTimeField(blank=True, null=True)),
                ('booking', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='occupancies', to='bookings.booking')),
                ('change', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='occupancies', to='bookings.change')),
                ('line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='occupancies', to='bookings.line')),
                ('resource', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='occupancies', to='bookings.resource')),
            ],
            options={
                'verbose_name_plural': 'occupancies',
                'indexes': [django.contrib.postgres.indexes.GistIndex(models.F('resource'), models.F('during'), condition=models.Q(('exclusive', False), ('released_at', None)), name='occupancy_pooled_during'), models.Index(models.F('change'), condition=models.Q(('change__isnull', False)), name='occupancy_of_change'), models.Index(models.F('lapses_at'), condition=models.Q(('lapses_at__isnull', False), ('released_at', None)), name='occupancy_lapsing')],
                'constraints': [django.contrib.postgres.constraints.ExclusionConstraint(condition=models.Q(('exclusive', True), ('released_at', None)), expressions=[('resource', '='), ('during', '&&')], name='occupancy_no_overlap'), models.CheckConstraint(condition=models.Q(models.Func(models.F('during'), function='isempty', output_field=models.BooleanField()), _negated=True), name='occupancy_window_not_empty'), models.CheckConstraint(condition=models.Q(models.Q(models.Func(models.F('during'), function='lower_inf', output_field=models.BooleanField()), _negated=True), models.Q(models.Func(models.F('during'), function='upper_inf', output_field=models.BooleanField()), _negated=True), models.Func(models.Func(models.F('during'), function='lower'), function='isfinite', output_field=models.BooleanField()), models.Func(models.Func(models.F('during'), function='upper'), function='isfinite', output_field=models.BooleanField())), name='occupancy_window_finite'), models.CheckConstraint(condition=models.Q(models.Func(models.F('during'), function='lower_inc', output_field=models.BooleanField()), models.Q(models.Func(models.F('during'), function='upper_inc', output_field=models.BooleanField()), _negated=True)), name='occupancy_window_half_open'), models.CheckConstraint(condition=models.Q(('quantity__gte', 1), models.Q(('exclusive', False), ('quantity', 1), _connector='OR')), name='occupancy_quantity')],
                'triggers': [pgtrigger.compiler.Trigger(name='guard', sql=pgtrigger.compiler.UpsertTriggerSql(declare='DECLARE pool uuid; span tstzrange; skip uuid; peak bigint; resource_mode text; resource_capacity integer;', func="\n        IF TG_OP = 'UPDATE' THEN\n            -- Never on release, of all or of a part: it would deadlock releases against claims,\n            -- and a change would trip over a block that came after it was won.\n            IF NEW.resource_id = OLD.resource_id AND NEW.during <@ OLD.during\n               AND NEW.quantity <= OLD.quantity AND NEW.exclusive = OLD.exclusive\n               AND (NEW.released_at IS NOT NULL OR OLD.released_at IS NULL) THEN\n                RETURN NEW;\n            END IF;\n        END IF;\n        \n    IF current_setting('transaction_isolation') <> 'read committed' THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'occupancy_read_committed', TABLE = TG_TABLE_NAME, MESSAGE = 'claims need READ COMMITTED: a snapshot oversells';\n    END IF;\n\n        -- Lock first, look second: the look must see what was committed during the wait.\n        SELECT mode, capacity INTO resource_mode, resource_capacity\n        FROM bookings_resource WHERE id = NEW.resource_id FOR NO KEY UPDATE;\n        IF NOT FOUND THEN\n            RAISE EXCEPTION USING ERRCODE = '23503', CONSTRAINT = 'occupancy_resource_exists', TABLE = TG_TABLE_NAME, MESSAGE = 'there is no such resource';\n        END IF;\n        IF NEW.exclusive IS NULL THEN\n            NEW.exclusive := resource_mode = 'exclusive';\n        ELSIF NEW.exclusive <> (resource_mode = 'exclusive') THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'occupancy_exclusive_is_the_resources', TABLE = TG_TABLE_NAME, MESSAGE = 'exclusive follows the resource';\n        END IF;\n        IF NEW.released_at IS NOT NULL THEN\n            RETURN NEW;\n        END IF;\n        IF NEW.exclusive THEN\n            IF EXISTS (\n                SELECT 1 FROM bookings_block b\n                WHERE b.resource_id = NEW.resource_id AND b.during && NEW.during\n            ) THEN\n                RAISE EXCEPTION USING ERRCODE = '23P01', CONSTRAINT = 'occupancy_not_blocked', TABLE = TG_TABLE_NAME, MESSAGE = 'the window is blocked';\n            END IF;\n            RETURN NEW;\n        END IF;\n        pool := NEW.resource_id; span := NEW.during; skip := NEW.id;\n        \n    SELECT coalesce(max(used), 0) INTO peak FROM (\n        SELECT sum(step.units) OVER (ORDER BY step.at, step.units) AS used\n        FROM (\n            SELECT o.during, o.quantity FROM bookings_occupancy o\n            WHERE o.resource_id = pool AND o.released_at IS NULL AND NOT o.exclusive\n              AND o.id <> skip AND o.during && span\n            UNION ALL\n            SELECT b.during, b.quantity FROM bookings_block b\n            WHERE b.resource_id = pool AND b.during && span\n        ) AS use CROSS JOIN LATERAL (VALUES\n            (greatest(lower(use.during), lower(span)), use.quantity),\n            (upper(use.during), -use.quantity)\n        ) AS step(at, units)\n    ) AS uses;\n\n        IF peak + NEW.quantity > resource_capacity THEN\n            RAISE EXCEPTION USING ERRCODE = '23P01', CONSTRAINT = 'occupancy_within_capacity', TABLE = TG_TABLE_NAME, MESSAGE = 'the pool is full then';\n        END IF;\n        RETURN NEW;\n    ", hash='d2ac8905b45c3bc4cf2b2cd5aa2576246c01978f', operation='INSERT OR UPDATE OF "released_at", "resource_id", "during", "quantity", "exclusive"', pgid='pgtrigger_guard_6da2d', table='bookings_occupancy', when='BEFORE')), pgtrigger.compiler.Trigger(name='agrees_with_booking', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', declare='DECLARE subject uuid; booking_state text; made_here boolean;', func="\n        IF TG_OP = 'DELETE' THEN subject := OLD.booking_id; ELSE subject := NEW.booking_id; END IF;\n        \n    SELECT state INTO booking_state FROM bookings_booking\n    WHERE id = subject FOR SHARE;\n    IF booking_state = 'confirmed' AND EXISTS (\n        SELECT 1 FROM bookings_line l CROSS JOIN LATERAL (\n            SELECT l.starts_at AS at\n            UNION ALL SELECT upper(o.during) FROM bookings_occupancy o\n            WHERE o.line_id = l.id AND o.released_at IS NULL AND o.lapses_at IS NULL\n              AND upper(o.during) > l.starts_at AND upper(o.during) < l.ends_at\n        ) AS moment\n        WHERE l.booking_id = subject AND l.cancelled_at IS NULL AND l.quantity > (\n            SELECT coalesce(sum(o.quantity), 0) FROM bookings_occupancy o\n            WHERE o.line_id = l.id AND o.booking_id = subject\n              AND o.resource_id = l.resource_id\n              AND o.released_at IS NULL AND o.lapses_at IS NULL\n              AND o.during @> moment.at\n        )\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'confirmed_booking_has_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a confirmed booking holds its slots';\n    END IF;\n    IF booking_state = 'confirmed' AND NOT EXISTS (\n        SELECT 1 FROM bookings_line l WHERE l.booking_id = subject AND l.cancelled_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'confirmed_booking_has_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a confirmed booking has lines';\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_line l JOIN bookings_occupancy o ON o.line_id = l.id\n        WHERE l.booking_id = subject AND l.cancelled_at IS NOT NULL\n          AND o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'cancelled_line_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a line given up holds nothing';\n    END IF;\n    IF booking_state IN ('expired', 'released', 'cancelled') AND EXISTS (\n        SELECT 1 FROM bookings_occupancy o\n        WHERE o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'ended_booking_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'an ended booking holds nothing';\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_change c JOIN bookings_occupancy o ON o.change_id = c.id\n        WHERE c.booking_id = subject AND c.state IN ('expired', 'released')\n          AND o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'ended_change_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'an ended change holds nothing';\n    END IF;\n    RETURN NULL;\n\n    ", hash='e8a4778d871e15e7cd18ee36808dcf2f1ef5c8fb', operation='UPDATE OR DELETE', pgid='pgtrigger_agrees_with_booking_de934', table='bookings_occupancy', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')), pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', declare='DECLARE subject uuid; booking_state text; made_here boolean; of_workspace uuid;', func="\n        SELECT b.workspace_id, b.state, b.xmin = pg_current_xact_id()::xid INTO of_workspace, booking_state, made_here\n        FROM bookings_booking b WHERE b.id = NEW.booking_id;\n        IF NEW.booking_id IS DISTINCT FROM (\n            SELECT l.booking_id FROM bookings_line l WHERE l.id = NEW.line_id\n        ) OR of_workspace IS DISTINCT FROM (\n            SELECT r.workspace_id FROM bookings_resource r WHERE r.id = NEW.resource_id\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'occupancy_within_booking', TABLE = TG_TABLE_NAME, MESSAGE = 'an occupancy stays within its booking';\n        END IF;\n        IF NEW.change_id IS NOT NULL AND NEW.booking_id IS DISTINCT FROM (\n            SELECT c.booking_id FROM bookings_change c WHERE c.id = NEW.change_id\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'occupancy_within_booking', TABLE = TG_TABLE_NAME, MESSAGE = 'an occupancy stays within its booking';\n        END IF;\n        IF made_here AND booking_state = 'pending_payment' THEN\n            RETURN NULL;\n        END IF;\n        subject := NEW.booking_id;\n        \n    SELECT state INTO booking_state FROM bookings_booking\n    WHERE id = subject FOR SHARE;\n    IF booking_state = 'confirmed' AND EXISTS (\n        SELECT 1 FROM bookings_line l CROSS JOIN LATERAL (\n            SELECT l.starts_at AS at\n            UNION ALL SELECT upper(o.during) FROM bookings_occupancy o\n            WHERE o.line_id = l.id AND o.released_at IS NULL AND o.lapses_at IS NULL\n              AND upper(o.during) > l.starts_at AND upper(o.during) < l.ends_at\n        ) AS moment\n        WHERE l.booking_id = subject AND l.cancelled_at IS NULL AND l.quantity > (\n            SELECT coalesce(sum(o.quantity), 0) FROM bookings_occupancy o\n            WHERE o.line_id = l.id AND o.booking_id = subject\n              AND o.resource_id = l.resource_id\n              AND o.released_at IS NULL AND o.lapses_at IS NULL\n              AND o.during @> moment.at\n        )\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'confirmed_booking_has_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a confirmed booking holds its slots';\n    END IF;\n    IF booking_state = 'confirmed' AND NOT EXISTS (\n        SELECT 1 FROM bookings_line l WHERE l.booking_id = subject AND l.cancelled_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'confirmed_booking_has_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a confirmed booking has lines';\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_line l JOIN bookings_occupancy o ON o.line_id = l.id\n        WHERE l.booking_id = subject AND l.cancelled_at IS NOT NULL\n          AND o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'cancelled_line_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a line given up holds nothing';\n    END IF;\n    IF booking_state IN ('expired', 'released', 'cancelled') AND EXISTS (\n        SELECT 1 FROM bookings_occupancy o\n        WHERE o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'ended_booking_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'an ended booking holds nothing';\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_change c JOIN bookings_occupancy o ON o.change_id = c.id\n        WHERE c.booking_id = subject AND c.state IN ('expired', 'released')\n          AND o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'ended_change_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'an ended change holds nothing';\n    END IF;\n    RETURN NULL;\n\n    ", hash='2fcb79b264ae478766538610c17a09475619273e', operation='INSERT', pgid='pgtrigger_belongs_b630a', table='bookings_occupancy', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')), pgtrigger.compiler.Trigger(name='stays', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n        IF (NEW.booking_id, NEW.line_id, NEW.change_id)\n           IS DISTINCT FROM (OLD.booking_id, OLD.line_id, OLD.change_id) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'occupancy_within_booking', TABLE = TG_TABLE_NAME, MESSAGE = 'an occupancy stays within its booking';\n        END IF;\n        RETURN NEW;\n    ", hash='f730f48917c6202c3a2ae0c346f88288f9a1ef60', operation='UPDATE OF "booking_id", "line_id", "change_id"', pgid='pgtrigger_stays_a727f', table='bookings_occupancy', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_rows', sql=pgtrigger.compiler.UpsertTriggerSql(func="IF OLD.released_at IS NOT NULL THEN RETURN OLD; END IF; RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'occupancy_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='c551747233ee46254fad5c527a77801ba6010171', operation='DELETE', pgid='pgtrigger_keep_rows_fe67b', table='bookings_occupancy', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_table', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'occupancy_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='ac28f7e354ee265e6954811eeddfb999cedfe063', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_keep_table_a6679', table='bookings_occupancy', when='BEFORE'))],
            },
        ),
        migrations.AddField(
            model_name='line',
            name='resource',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='bookings.resource'),
        ),
        migrations.CreateModel(
            name='HolidayCalendar',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('country', models.CharField(help_text='Two letters, such as NZ.', max_length=2)),
                ('subdivision', models.CharField(blank=True, help_text='For regional holidays, such as AUK; blank for none.', max_length=20)),
                ('effect', models.CharField(choices=[('closed', 'Closed'), ('spans', 'Open at the times given'), ('usual', 'Open as usual')], default='closed', max_length=6, verbose_name='on holidays')),
                ('spans', models.CharField(blank=True, default='', help_text='As in “09:00-12:00, 13:00-17:00”; blank for closed.', max_length=120, validators=[django.core.validators.RegexValidator('^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$')], verbose_name='open')),
                ('location', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='%(class)ss', to='bookings.location')),
                ('resource', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='%(class)ss', to='bookings.resource')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('location', None), ('resource__isnull', False)), models.Q(('location__isnull', False), ('resource', None)), _connector='OR'), name='holiday_calendar_of_one_owner', violation_error_message='It belongs to a location or to a resource.'), models.UniqueConstraint(models.F('location'), name='holiday_calendar_once_at_location'), models.UniqueConstraint(models.F('resource'), name='holiday_calendar_once_at_resource'), models.CheckConstraint(condition=models.Q(('country__regex', '^[A-Z]{2}$')), name='holiday_calendar_country'), models.CheckConstraint(condition=models.Q(models.Q(('effect', 'spans'), ('spans__regex', '^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$'), models.Q(('spans', ''), _negated=True)), models.Q(('effect__in', ['closed', 'usual']), ('spans', '')), _connector='OR'), name='holiday_calendar_effect', violation_error_message='Give times if it is open at other times, else none.')],
            },
        ),
        migrations.AddField(
            model_name='discount',
            name='resources',
            field=models.ManyToManyField(blank=True, help_text='None chosen: for all of them.', related_name='discounts', to='bookings.resource'),
        ),
        migrations.CreateModel(
            name='ConnectedResource',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('writes', models.BooleanField(default=True, verbose_name='write bookings into it')),
                ('reads', models.BooleanField(default=True, verbose_name='its busy times block')),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='resources', to='bookings.calendarconnection')),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='connected_calendars', to='bookings.resource')),
            ],
            options={
                'constraints': [models.UniqueConstraint(models.F('connection'), models.F('resource'), name='connected_resource_once', violation_error_message='It is connected with this resource already.'), models.CheckConstraint(condition=models.Q(('writes', True), ('reads', True), _connector='OR'), name='connected_for_something', violation_error_message='Choose what the calendar does: write, block, or both.')],
                'triggers': [pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', func="\n                    IF NOT EXISTS (\n                        SELECT 1 FROM bookings_calendarconnection c\n                        JOIN bookings_resource r ON r.workspace_id = c.workspace_id\n                        WHERE c.id = NEW.connection_id AND r.id = NEW.resource_id\n                          AND (r.mode = 'exclusive' OR NOT NEW.reads)\n                          AND (c.kind <> 'ics' OR NOT NEW.writes)\n                    ) THEN\n                        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'connected_resource_belongs', TABLE = TG_TABLE_NAME, MESSAGE = 'a calendar serves its own workspace, blocks what is exclusive, and is written on a server';\n                    END IF;\n                    RETURN NULL;\n                ", hash='4b5e0b97d936f8dbd714e211ad1c8037846375ec', operation='INSERT OR UPDATE', pgid='pgtrigger_belongs_a97c5', table='bookings_connectedresource', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER'))],
            },
        ),
        migrations.CreateModel(
            name='BookingLimit',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('bookings_per_day', models.PositiveIntegerField(blank=True, help_text='Blank for no limit.', null=True, validators=[django.core.validators.MinValueValidator(1)])),
                ('bookings_per_week', models.PositiveIntegerField(blank=True, help_text='From Monday.', null=True, validators=[django.core.validators.MinValueValidator(1)])),
                ('hours_per_month', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)])),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='booking_limits', to='members.workspace')),
                ('category', models.ForeignKey(blank=True, help_text='Blank for all of the workspace.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='booking_limits', to='bookings.category')),
                ('resource', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='booking_limits', to='bookings.resource')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('workspace', 'category', 'resource'), name='booking_limit_once_per_scope', nulls_distinct=False, violation_error_message='There is a limit for that already.'), models.CheckConstraint(condition=models.Q(('category', None), ('resource', None), _connector='OR'), name='booking_limit_one_scope', violation_error_message='Choose a category or a resource, not both.'), models.CheckConstraint(condition=models.Q(('bookings_per_day__gte', 1), ('bookings_per_week__gte', 1), ('hours_per_month__gte', 1), _connector='OR'), name='booking_limit_limits_something', violation_error_message='Give at least one of the limits.')],
                'triggers': [pgtrigger.compiler.Trigger(name='marks_workspace', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n    UPDATE members_workspace SET limits_bookings = true\n    WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.workspace_id ELSE NEW.workspace_id END;\n    RETURN NULL;\n", hash='618bf42d5d86835b1f954d654b6ca24af8fed04d', operation='INSERT OR DELETE', pgid='pgtrigger_marks_workspace_3c05d', table='bookings_bookinglimit', when='AFTER')), pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', func="\n                    IF TG_OP = 'UPDATE' AND NEW.workspace_id <> OLD.workspace_id\n                       OR EXISTS (SELECT 1 FROM bookings_resource r\n                                  WHERE r.id = NEW.resource_id\n                                    AND r.workspace_id <> NEW.workspace_id)\n                       OR EXISTS (SELECT 1 FROM bookings_category c\n                                  WHERE c.id = NEW.category_id\n                                    AND c.workspace_id <> NEW.workspace_id) THEN\n                        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'booking_limit_within_workspace', TABLE = TG_TABLE_NAME, MESSAGE = 'a limit stays in its workspace';\n                    END IF;\n                    RETURN NULL;\n                ", hash='4445d03ac84fc68eb9671a172ad0b3f747d9389a', operation='INSERT OR UPDATE OF "workspace_id", "resource_id", "category_id"', pgid='pgtrigger_belongs_b4c3b', table='bookings_bookinglimit', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER'))],
            },
        ),
        migrations.CreateModel(
            name='Block',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('during', django.contrib.postgres.fields.ranges.DateTimeRangeField()),
                ('quantity', models.PositiveIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1)])),
                ('kind', models.CharField(choices=[('closure', 'Closure'), ('maintenance', 'Maintenance'), ('event', 'Private event'), ('calendar', 'Busy in a connected calendar')], db_default='closure', default='closure', max_length=11)),
                ('reason', models.CharField(max_length=200)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('created_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='blocks', to='members.workspace')),
                ('connected', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='busy', to='bookings.connectedresource')),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='blocks', to='bookings.resource')),
            ],
            options={
                'indexes': [django.contrib.postgres.indexes.GistIndex(models.F('resource'), models.F('during'), name='block_resource_during')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Func(models.F('during'), function='isempty', output_field=models.BooleanField()), _negated=True), name='block_window_not_empty'), models.CheckConstraint(condition=models.Q(models.Q(models.Func(models.F('during'), function='lower_inf', output_field=models.BooleanField()), _negated=True), models.Q(models.Func(models.F('during'), function='upper_inf', output_field=models.BooleanField()), _negated=True), models.Func(models.Func(models.F('during'), function='lower'), function='isfinite', output_field=models.BooleanField()), models.Func(models.Func(models.F('during'), function='upper'), function='isfinite', output_field=models.BooleanField())), name='block_window_finite'), models.CheckConstraint(condition=models.Q(models.Func(models.F('during'), function='lower_inc', output_field=models.BooleanField()), models.Q(models.Func(models.F('during'), function='upper_inc', output_field=models.BooleanField()), _negated=True)), name='block_window_half_open'), models.CheckConstraint(condition=models.Q(models.Q(('connected__isnull', False), ('kind', 'calendar')), models.Q(models.Q(('kind', 'calendar'), _negated=True), ('connected', None)), _connector='OR'), name='block_of_calendar'), models.CheckConstraint(condition=models.Q(('quantity__gte', 1)), name='block_quantity'), models.CheckConstraint(condition=models.Q(('kind__in', ['closure', 'maintenance', 'event', 'calendar'])), name='block_kind')],
                'triggers': [pgtrigger.compiler.Trigger(name='guard', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n        \n    IF current_setting('transaction_isolation') <> 'read committed' THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'occupancy_read_committed', TABLE = TG_TABLE_NAME, MESSAGE = 'claims need READ COMMITTED: a snapshot oversells';\n    END IF;\n\n        PERFORM 1 FROM bookings_resource\n        WHERE id = NEW.resource_id AND workspace_id = NEW.workspace_id FOR NO KEY UPDATE;\n        IF NOT FOUND THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'block_within_workspace', TABLE = TG_TABLE_NAME, MESSAGE = 'a block stays in its resource''s workspace';\n        END IF;\n        RETURN NEW;\n    ", hash='147227c78304488671505a294c5c956e9282056c', operation='INSERT OR UPDATE OF "resource_id", "during", "quantity", "workspace_id"', pgid='pgtrigger_guard_94103', table='bookings_block', when='BEFORE'))],
            },
        ),
        migrations.CreateModel(
            name='AddOn',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('is_required', models.BooleanField(default=False, help_text='At least one for each unit that is booked.', verbose_name='required')),
                ('max_per_unit', models.PositiveSmallIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100)], verbose_name='most for each unit')),
                ('price_kind', models.CharField(choices=[('per_booking', 'Once, however many'), ('per_unit', 'For each'), ('per_hour', 'For each, by the hour')], default='per_unit', max_length=11, verbose_name='price')),
                ('amount_minor', models.PositiveBigIntegerField(default=0)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('pool', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='offered_with', to='bookings.resource')),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='add_ons', to='bookings.resource')),
            ],
            options={
                'verbose_name': 'add-on',
                'ordering': ['position', 'pool__name'],
                'constraints': [models.UniqueConstraint(models.F('resource'), models.F('pool'), name='add_on_offered_once', violation_error_message='This is offered here already.'), models.CheckConstraint(condition=models.Q(('pool', models.F('resource')), _negated=True), name='add_on_of_another', violation_error_message='A resource is no add-on of its own.'), models.CheckConstraint(condition=models.Q(('max_per_unit__gte', 1)), name='add_on_at_least_one')],
                'triggers': [pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', func="\n        IF NOT EXISTS (\n            SELECT 1 FROM bookings_resource r JOIN bookings_resource p\n              ON p.workspace_id = r.workspace_id\n            WHERE r.id = NEW.resource_id AND p.id = NEW.pool_id AND p.mode = 'pooled'\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'add_on_is_a_pool_of_the_workspace', TABLE = TG_TABLE_NAME, MESSAGE = 'an add-on is a pool of the workspace';\n        END IF;\n        RETURN NULL;\n    ", hash='773f813282a80eae07f21801f61ee3223fe34b9e', operation='INSERT OR UPDATE OF "resource_id", "pool_id"', pgid='pgtrigger_belongs_92f60', table='bookings_addon', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER'))],
            },
        ),
        migrations.CreateModel(
            name='ResourceGroup',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('group', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='allowed_resources', to='members.membergroup')),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='allowed_groups', to='bookings.resource')),
            ],
            options={
                'constraints': [models.UniqueConstraint(models.F('resource'), models.F('group'), name='resource_group_once')],
                'triggers': [pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', func="\n                    IF (SELECT r.workspace_id FROM bookings_resource r WHERE r.id = NEW.resource_id)\n                       IS DISTINCT FROM\n                       (SELECT g.workspace_id FROM members_membergroup g WHERE g.id = NEW.group_id)\n                    THEN\n                        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'resource_group_within_workspace', TABLE = TG_TABLE_NAME, MESSAGE = 'a group is of its workspace';\n                    END IF;\n                    RETURN NULL;\n                ", hash='5255ef58c058ada2be1d2e1a35fed08c8d34e9b1', operation='INSERT OR UPDATE OF "resource_id", "group_id"', pgid='pgtrigger_belongs_2e1f7', table='bookings_resourcegroup', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER'))],
            },
        ),
        migrations.CreateModel(
            name='Season',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=80)),
                ('first_day', models.DateField()),
                ('last_day', models.DateField(help_text='Is part of the season.')),
                ('yearly', models.BooleanField(default=False, help_text='Then the years of the two dates do not matter.', verbose_name='every year')),
                ('monday', models.CharField(blank=True, default='', max_length=120, validators=[django.core.validators.RegexValidator('^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$')])),
                ('tuesday', models.CharField(blank=True, default='', max_length=120, validators=[django.core.validators.RegexValidator('^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$')])),
                ('wednesday', models.CharField(blank=True, default='', max_length=120, validators=[django.core.validators.RegexValidator('^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$')])),
                ('thursday', models.CharField(blank=True, default='', max_length=120, validators=[django.core.validators.RegexValidator('^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$')])),
                ('friday', models.CharField(blank=True, default='', max_length=120, validators=[django.core.validators.RegexValidator('^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$')])),
                ('saturday', models.CharField(blank=True, default='', max_length=120, validators=[django.core.validators.RegexValidator('^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$')])),
                ('sunday', models.CharField(blank=True, default='', max_length=120, validators=[django.core.validators.RegexValidator('^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$')])),
                ('location', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='%(class)ss', to='bookings.location')),
                ('resource', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='%(class)ss', to='bookings.resource')),
            ],
            options={
                'ordering': ['first_day'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('location', None), ('resource__isnull', False)), models.Q(('location__isnull', False), ('resource', None)), _connector='OR'), name='season_of_one_owner', violation_error_message='It belongs to a location or to a resource.'), models.CheckConstraint(condition=models.Q(('yearly', True), ('last_day__gte', models.F('first_day')), _connector='OR'), name='season_days_in_order', violation_error_message="A season's last day is not before its first."), django.contrib.postgres.constraints.ExclusionConstraint(condition=models.Q(('yearly', False)), expressions=[(django.db.models.functions.comparison.Coalesce('location', 'resource'), '='), (models.Func('first_day', 'last_day', output_field=django.contrib.postgres.fields.ranges.DateRangeField(), template="daterange(%(expressions)s, '[]')"), '&&')], name='season_dates_no_overlap', violation_error_message='Two seasons overlap.'), django.contrib.postgres.constraints.ExclusionConstraint(condition=models.Q(('yearly', True)), expressions=[(django.db.models.functions.comparison.Coalesce('location', 'resource'), '='), (models.Func(models.Func(django.db.models.expressions.CombinedExpression(django.db.models.functions.comparison.Cast(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.functions.datetime.ExtractMonth('first_day'), '*', models.Value(100)), '+', django.db.models.functions.datetime.ExtractDay('first_day')), models.IntegerField()), '+', models.Value(0)), django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.functions.comparison.Cast(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.functions.datetime.ExtractMonth('last_day'), '*', models.Value(100)), '+', django.db.models.functions.datetime.ExtractDay('last_day')), models.IntegerField()), '+', models.Case(models.When(django.db.models.lookups.GreaterThan(django.db.models.functions.comparison.Cast(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.functions.datetime.ExtractMonth('first_day'), '*', models.Value(100)), '+', django.db.models.functions.datetime.ExtractDay('first_day')), models.IntegerField()), django.db.models.functions.comparison.Cast(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.functions.datetime.ExtractMonth('last_day'), '*', models.Value(100)), '+', django.db.models.functions.datetime.ExtractDay('last_day')), models.IntegerField())), then=models.Value(1300)), default=models.Value(0))), '+', models.Value(0)), output_field=django.contrib.postgres.fields.ranges.IntegerRangeField(), template="int4range(%(expressions)s, '[]')"), models.Func(django.db.models.expressions.CombinedExpression(django.db.models.functions.comparison.Cast(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.functions.datetime.ExtractMonth('first_day'), '*', models.Value(100)), '+', django.db.models.functions.datetime.ExtractDay('first_day')), models.IntegerField()), '+', models.Value(1300)), django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.functions.comparison.Cast(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.functions.datetime.ExtractMonth('last_day'), '*', models.Value(100)), '+', django.db.models.functions.datetime.ExtractDay('last_day')), models.IntegerField()), '+', models.Case(models.When(django.db.models.lookups.GreaterThan(django.db.models.functions.comparison.Cast(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.functions.datetime.ExtractMonth('first_day'), '*', models.Value(100)), '+', django.db.models.functions.datetime.ExtractDay('first_day')), models.IntegerField()), django.db.models.functions.comparison.Cast(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.functions.datetime.ExtractMonth('last_day'), '*', models.Value(100)), '+', django.db.models.functions.datetime.ExtractDay('last_day')), models.IntegerField())), then=models.Value(1300)), default=models.Value(0))), '+', models.Value(1300)), output_field=django.contrib.postgres.fields.ranges.IntegerRangeField(), template="int4range(%(expressions)s, '[]')"), function='int4multirange', output_field=django.contrib.postgres.fields.ranges.IntegerRangeField()), '&&')], name='season_yearly_no_overlap', violation_error_message='Two seasons of every year overlap.'), models.CheckConstraint(condition=models.Q(('monday__regex', '^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$'), ('tuesday__regex', '^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$'), ('wednesday__regex', '^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$'), ('thursday__regex', '^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$'), ('friday__regex', '^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$'), ('saturday__regex', '^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$'), ('sunday__regex', '^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](, ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])*)?$')), name='season_spans')],
            },
        ),
        migrations.CreateModel(
            name='Series',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('rule', models.CharField(help_text='FREQ=WEEKLY;COUNT=8', max_length=500)),
                ('starts_at', models.DateTimeField(help_text="The first window's.")),
                ('ends_at', models.DateTimeField()),
                ('quantity', models.PositiveIntegerField(default=1)),
                ('payment', models.CharField(choices=[('together', 'All at once'), ('each', 'Each before it takes place')], max_length=10)),
                ('created_at', models.DateTimeField()),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='series', to='bookings.resource')),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='series', to='members.workspace')),
            ],
            options={
                'verbose_name_plural': 'series',
                'ordering': ['-created_at'],
                'constraints': [models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at'))), name='series_window_in_order')],
                'triggers': [pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', func="\n        IF NEW.workspace_id IS DISTINCT FROM (\n            SELECT r.workspace_id FROM bookings_resource r WHERE r.id = NEW.resource_id\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'series_within_workspace', TABLE = TG_TABLE_NAME, MESSAGE = 'a series stays in its resource''s workspace';\n        END IF;\n        RETURN NULL;\n    ", hash='9d66bfa7fea46541e66e20d72520e568d3757859', operation='INSERT OR UPDATE OF "resource_id", "workspace_id"', pgid='pgtrigger_belongs_10491', table='bookings_series', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')), pgtrigger.compiler.Trigger(name='keep_rows', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'booking_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='52e729fb7bb2d57bacbdd19c9a46396cef3a0cb3', operation='DELETE', pgid='pgtrigger_keep_rows_8c6f9', table='bookings_series', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_table', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'booking_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='a9fa644e02b11ada9a4173019e4196f8d511ba16', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_keep_table_7e838', table='bookings_series', when='BEFORE'))],
            },
        ),
        migrations.AddField(
            model_name='booking',
            name='series',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='bookings', to='bookings.series'),
        ),
        migrations.CreateModel(
            name='Unit',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('label', models.CharField(max_length=40)),
                ('is_active', models.BooleanField(default=True, verbose_name='in use')),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='units', to='bookings.resource')),
            ],
            options={
                'ordering': ['label'],
                'constraints': [models.UniqueConstraint(models.F('resource'), models.F('label'), name='unit_label_unique', violation_error_message='There is a unit by this label.')],
                'triggers': [pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', func="\n        IF NOT EXISTS (\n            SELECT 1 FROM bookings_resource r WHERE r.id = NEW.resource_id AND r.mode = 'pooled'\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'unit_is_of_a_pool', TABLE = TG_TABLE_NAME, MESSAGE = 'only a pool has units';\n        END IF;\n        RETURN NULL;\n    ", hash='7641043a2e89bd833293ba045abfe09052328de1', operation='INSERT OR UPDATE OF "resource_id"', pgid='pgtrigger_belongs_5baed', table='bookings_unit', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER'))],
            },
        ),
        migrations.CreateModel(
            name='UnitAssignment',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('during', django.contrib.postgres.fields.ranges.DateTimeRangeField()),
                ('handed_over_at', models.DateTimeField()),
                ('returned_at', models.DateTimeField(blank=True, null=True)),
                ('line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='unit_assignments', to='bookings.line')),
                ('unit', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assignments', to='bookings.unit')),
            ],
            options={
                'ordering': ['handed_over_at', 'id'],
                'constraints': [django.contrib.postgres.constraints.ExclusionConstraint(condition=models.Q(('returned_at', None)), expressions=[('unit', '='), ('during', '&&')], name='unit_out_once'), models.CheckConstraint(condition=models.Q(models.Func(models.F('during'), function='isempty', output_field=models.BooleanField()), _negated=True), name='unit_assignment_window_not_empty'), models.CheckConstraint(condition=models.Q(models.Q(models.Func(models.F('during'), function='lower_inf', output_field=models.BooleanField()), _negated=True), models.Q(models.Func(models.F('during'), function='upper_inf', output_field=models.BooleanField()), _negated=True), models.Func(models.Func(models.F('during'), function='lower'), function='isfinite', output_field=models.BooleanField()), models.Func(models.Func(models.F('during'), function='upper'), function='isfinite', output_field=models.BooleanField())), name='unit_assignment_window_finite'), models.CheckConstraint(condition=models.Q(models.Func(models.F('during'), function='lower_inc', output_field=models.BooleanField()), models.Q(models.Func(models.F('during'), function='upper_inc', output_field=models.BooleanField()), _negated=True)), name='unit_assignment_window_half_open')],
                'triggers': [pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n        IF NOT EXISTS (\n            SELECT 1 FROM bookings_line l JOIN bookings_unit u ON u.resource_id = l.resource_id\n            WHERE l.id = NEW.line_id AND u.id = NEW.unit_id\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'unit_is_of_the_lines_pool', TABLE = TG_TABLE_NAME, MESSAGE = 'a unit goes out for a line of its own pool';\n        END IF;\n        RETURN NEW;\n    ", hash='9a0a46924da8c301b2b15a5986b8f2c35a4efb68', operation='INSERT OR UPDATE OF "unit_id", "line_id"', pgid='pgtrigger_belongs_cfb1f', table='bookings_unitassignment', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_rows', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'unit_assignment_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='93e53d74178a616a259abc29242a753baf82a970', operation='DELETE', pgid='pgtrigger_keep_rows_4734b', table='bookings_unitassignment', when='BEFORE')), pgtrigger.compiler.Trigger(name='keep_table', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'unit_assignment_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='ba90dd14501201a57871554898c4cc688b149231', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_keep_table_3793a', table='bookings_unitassignment', when='BEFORE'))],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='limitedworkspace',
            trigger=pgtrigger.compiler.Trigger(name='limits_bookings', sql=pgtrigger.compiler.UpsertTriggerSql(func='\n                    NEW.limits_bookings = EXISTS (\n                        SELECT 1 FROM bookings_bookinglimit l WHERE l.workspace_id = NEW.id\n                    );\n                    RETURN NEW;\n                ', hash='314a99ce5bb9746f66755f8ddf8b3ee15b4dbb64', operation='UPDATE OF "limits_bookings"', pgid='pgtrigger_limits_bookings_8505d', table='members_workspace', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='line',
            index=models.Index(models.F('resource'), models.F('starts_at'), name='line_of_resource'),
        ),
        migrations.AddConstraint(
            model_name='line',
            constraint=models.UniqueConstraint(models.F('booking'), models.F('position'), name='line_position_unique'),
        ),
        migrations.AddConstraint(
            model_name='line',
            constraint=models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at'))), name='line_window_in_order'),
        ),
        migrations.AddConstraint(
            model_name='line',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gte', 1)), name='line_quantity'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='line',
            trigger=pgtrigger.compiler.Trigger(name='agrees_with_occupancies', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', declare='DECLARE subject uuid; booking_state text; made_here boolean;', func="subject := NEW.booking_id; \n    SELECT state INTO booking_state FROM bookings_booking\n    WHERE id = subject FOR SHARE;\n    IF booking_state = 'confirmed' AND EXISTS (\n        SELECT 1 FROM bookings_line l CROSS JOIN LATERAL (\n            SELECT l.starts_at AS at\n            UNION ALL SELECT upper(o.during) FROM bookings_occupancy o\n            WHERE o.line_id = l.id AND o.released_at IS NULL AND o.lapses_at IS NULL\n              AND upper(o.during) > l.starts_at AND upper(o.during) < l.ends_at\n        ) AS moment\n        WHERE l.booking_id = subject AND l.cancelled_at IS NULL AND l.quantity > (\n            SELECT coalesce(sum(o.quantity), 0) FROM bookings_occupancy o\n            WHERE o.line_id = l.id AND o.booking_id = subject\n              AND o.resource_id = l.resource_id\n              AND o.released_at IS NULL AND o.lapses_at IS NULL\n              AND o.during @> moment.at\n        )\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'confirmed_booking_has_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a confirmed booking holds its slots';\n    END IF;\n    IF booking_state = 'confirmed' AND NOT EXISTS (\n        SELECT 1 FROM bookings_line l WHERE l.booking_id = subject AND l.cancelled_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'confirmed_booking_has_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a confirmed booking has lines';\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_line l JOIN bookings_occupancy o ON o.line_id = l.id\n        WHERE l.booking_id = subject AND l.cancelled_at IS NOT NULL\n          AND o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'cancelled_line_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a line given up holds nothing';\n    END IF;\n    IF booking_state IN ('expired', 'released', 'cancelled') AND EXISTS (\n        SELECT 1 FROM bookings_occupancy o\n        WHERE o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'ended_booking_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'an ended booking holds nothing';\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_change c JOIN bookings_occupancy o ON o.change_id = c.id\n        WHERE c.booking_id = subject AND c.state IN ('expired', 'released')\n          AND o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'ended_change_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'an ended change holds nothing';\n    END IF;\n    RETURN NULL;\n", hash='42e67d59eb6bf6fd7f05f212daea586eb640879f', operation='UPDATE OF "booking_id", "resource_id", "starts_at", "ends_at", "quantity", "cancelled_at"', pgid='pgtrigger_agrees_with_occupancies_4541e', table='bookings_line', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='line',
            trigger=pgtrigger.compiler.Trigger(name='belongs', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', declare='DECLARE subject uuid; booking_state text; made_here boolean; of_workspace uuid;', func="\n        SELECT b.workspace_id, b.state, b.xmin = pg_current_xact_id()::xid INTO of_workspace, booking_state, made_here\n        FROM bookings_booking b WHERE b.id = NEW.booking_id;\n        IF of_workspace IS DISTINCT FROM (\n            SELECT r.workspace_id FROM bookings_resource r WHERE r.id = NEW.resource_id\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'line_within_workspace', TABLE = TG_TABLE_NAME, MESSAGE = 'a line stays within its booking''s workspace';\n        END IF;\n        IF made_here AND booking_state = 'pending_payment' THEN\n            RETURN NULL;\n        END IF;\n        subject := NEW.booking_id;\n        \n    SELECT state INTO booking_state FROM bookings_booking\n    WHERE id = subject FOR SHARE;\n    IF booking_state = 'confirmed' AND EXISTS (\n        SELECT 1 FROM bookings_line l CROSS JOIN LATERAL (\n            SELECT l.starts_at AS at\n            UNION ALL SELECT upper(o.during) FROM bookings_occupancy o\n            WHERE o.line_id = l.id AND o.released_at IS NULL AND o.lapses_at IS NULL\n              AND upper(o.during) > l.starts_at AND upper(o.during) < l.ends_at\n        ) AS moment\n        WHERE l.booking_id = subject AND l.cancelled_at IS NULL AND l.quantity > (\n            SELECT coalesce(sum(o.quantity), 0) FROM bookings_occupancy o\n            WHERE o.line_id = l.id AND o.booking_id = subject\n              AND o.resource_id = l.resource_id\n              AND o.released_at IS NULL AND o.lapses_at IS NULL\n              AND o.during @> moment.at\n        )\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'confirmed_booking_has_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a confirmed booking holds its slots';\n    END IF;\n    IF booking_state = 'confirmed' AND NOT EXISTS (\n        SELECT 1 FROM bookings_line l WHERE l.booking_id = subject AND l.cancelled_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'confirmed_booking_has_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a confirmed booking has lines';\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_line l JOIN bookings_occupancy o ON o.line_id = l.id\n        WHERE l.booking_id = subject AND l.cancelled_at IS NOT NULL\n          AND o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'cancelled_line_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a line given up holds nothing';\n    END IF;\n    IF booking_state IN ('expired', 'released', 'cancelled') AND EXISTS (\n        SELECT 1 FROM bookings_occupancy o\n        WHERE o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'ended_booking_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'an ended booking holds nothing';\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_change c JOIN bookings_occupancy o ON o.change_id = c.id\n        WHERE c.booking_id = subject AND c.state IN ('expired', 'released')\n          AND o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'ended_change_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'an ended change holds nothing';\n    END IF;\n    RETURN NULL;\n\n    ", hash='b2586bf08490cc0c944399bbcf9393474324053c', operation='INSERT', pgid='pgtrigger_belongs_4272f', table='bookings_line', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='line',
            trigger=pgtrigger.compiler.Trigger(name='goes_with_its_line', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (NEW."parent_id" IS NOT NULL)', constraint='CONSTRAINT', func="\n    IF EXISTS (\n        SELECT 1 FROM bookings_line a LEFT JOIN bookings_line l\n          ON l.id = a.parent_id AND l.booking_id = a.booking_id AND l.parent_id IS NULL\n         AND l.starts_at = a.starts_at AND l.ends_at = a.ends_at\n         AND (l.cancelled_at IS NULL) = (a.cancelled_at IS NULL)\n        WHERE (a.booking_id IN (NEW.booking_id, OLD.booking_id) OR a.id = NEW.id)\n          AND a.parent_id IS NOT NULL AND l.id IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'add_on_stays_with_its_line', TABLE = TG_TABLE_NAME, MESSAGE = 'an add-on stays with its line';\n    END IF;\n    RETURN NULL;\n", hash='18df205b8ce5a4e2737b44c1188fafd8f1303f9e', operation='INSERT', pgid='pgtrigger_goes_with_its_line_5f39f', table='bookings_line', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='line',
            trigger=pgtrigger.compiler.Trigger(name='keeps_its_add_ons', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', func="\n    IF EXISTS (\n        SELECT 1 FROM bookings_line a LEFT JOIN bookings_line l\n          ON l.id = a.parent_id AND l.booking_id = a.booking_id AND l.parent_id IS NULL\n         AND l.starts_at = a.starts_at AND l.ends_at = a.ends_at\n         AND (l.cancelled_at IS NULL) = (a.cancelled_at IS NULL)\n        WHERE (a.booking_id IN (NEW.booking_id, OLD.booking_id) OR a.id = NEW.id)\n          AND a.parent_id IS NOT NULL AND l.id IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'add_on_stays_with_its_line', TABLE = TG_TABLE_NAME, MESSAGE = 'an add-on stays with its line';\n    END IF;\n    RETURN NULL;\n", hash='bc890d1871c4990aa7d98b43ab80e5d80a95dd28', operation='UPDATE OF "parent_id", "booking_id", "starts_at", "ends_at", "cancelled_at"', pgid='pgtrigger_keeps_its_add_ons_d2fc9', table='bookings_line', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='line',
            trigger=pgtrigger.compiler.Trigger(name='keep_rows', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'booking_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='32e0acea31c8be0bbd88ce6bed096ba6c1d0c28f', operation='DELETE', pgid='pgtrigger_keep_rows_f3bdc', table='bookings_line', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='line',
            trigger=pgtrigger.compiler.Trigger(name='keep_table', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'booking_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='09223fd255a527d49fa0d29ea33a7d408e64ee21', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_keep_table_95e30', table='bookings_line', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='discount',
            constraint=models.UniqueConstraint(models.F('workspace'), django.db.models.functions.text.Upper('code'), name='discount_code_once', violation_error_message='There is such a code already.'),
        ),
        migrations.AddConstraint(
            model_name='discount',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('amount_minor', None), ('percent__isnull', False), ('percent__range', (1, 100))), models.Q(('amount_minor__gte', 1), ('amount_minor__isnull', False), ('percent', None)), _connector='OR'), name='discount_percent_or_amount', violation_error_message='Give a per cent or an amount, and not both.'),
        ),
        migrations.AddConstraint(
            model_name='discount',
            constraint=models.CheckConstraint(condition=models.Q(('valid_from', None), ('valid_until', None), ('valid_until__gt', models.F('valid_from')), _connector='OR'), name='discount_validity_in_order', violation_error_message='It ends before it begins.'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(models.F('workspace'), models.F('state'), models.F('starts_at'), name='booking_worklist'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(fields=['workspace', '-created_at', '-id'], name='booking_newest'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(models.F('member'), models.F('starts_at'), name='booking_of_member'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(django.db.models.functions.text.Upper('email'), condition=models.Q(('email', ''), _negated=True), name='booking_of_email'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(models.F('series'), condition=models.Q(('series__isnull', False)), name='booking_of_series'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(models.F('starts_at'), condition=models.Q(('state', 'confirmed')), name='booking_reminders'),
        ),
        migrations.AddConstraint(
            model_name='booking',
            constraint=models.UniqueConstraint(models.F('workspace'), models.F('reference'), name='booking_reference_unique'),
        ),
        migrations.AddConstraint(
            model_name='booking',
            constraint=models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at'))), name='booking_window_in_order'),
        ),
        migrations.AddConstraint(
            model_name='booking',
            constraint=models.CheckConstraint(condition=models.Q(('approval_ttl_seconds', None), ('approved_at__isnull', False), ('state__in', ['awaiting_approval', 'released', 'expired']), _connector='OR'), name='booking_approved_before_it_is_theirs'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='booking',
            trigger=pgtrigger.compiler.Trigger(name='transitions', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NOT NEW.state = ANY (ARRAY['awaiting_approval', 'pending_payment']) THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'booking_first_state', TABLE = TG_TABLE_NAME, MESSAGE = 'a booking cannot start there';\n                END IF;\n            ELSIF NEW.state IS DISTINCT FROM OLD.state THEN\n                IF NOT (OLD.state || '>' || NEW.state) = ANY (ARRAY['awaiting_approval>confirmed', 'awaiting_approval>expired', 'awaiting_approval>pending_payment', 'awaiting_approval>released', 'completed>no_show', 'confirmed>cancelled', 'confirmed>completed', 'confirmed>no_show', 'expired>confirmed', 'no_show>completed', 'pending_payment>confirmed', 'pending_payment>expired', 'pending_payment>released']::text[]) THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'booking_transition', TABLE = TG_TABLE_NAME, MESSAGE = 'a booking cannot make this move';\n                END IF;\n                IF NEW.version <> OLD.version + 1 THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'booking_version', TABLE = TG_TABLE_NAME, MESSAGE = 'a move raises the version by one';\n                END IF;\n            END IF;\n            RETURN NEW;\n        ", hash='0e54481b11a16f5b3f050865b8e0d1e9ecb8f0c6', operation='INSERT OR UPDATE OF "state"', pgid='pgtrigger_transitions_28146', table='bookings_booking', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='booking',
            trigger=pgtrigger.compiler.Trigger(name='agrees_with_occupancies', sql=pgtrigger.compiler.UpsertTriggerSql(constraint='CONSTRAINT', declare='DECLARE subject uuid; booking_state text; made_here boolean;', func="subject := NEW.id; \n    SELECT state INTO booking_state FROM bookings_booking\n    WHERE id = subject FOR SHARE;\n    IF booking_state = 'confirmed' AND EXISTS (\n        SELECT 1 FROM bookings_line l CROSS JOIN LATERAL (\n            SELECT l.starts_at AS at\n            UNION ALL SELECT upper(o.during) FROM bookings_occupancy o\n            WHERE o.line_id = l.id AND o.released_at IS NULL AND o.lapses_at IS NULL\n              AND upper(o.during) > l.starts_at AND upper(o.during) < l.ends_at\n        ) AS moment\n        WHERE l.booking_id = subject AND l.cancelled_at IS NULL AND l.quantity > (\n            SELECT coalesce(sum(o.quantity), 0) FROM bookings_occupancy o\n            WHERE o.line_id = l.id AND o.booking_id = subject\n              AND o.resource_id = l.resource_id\n              AND o.released_at IS NULL AND o.lapses_at IS NULL\n              AND o.during @> moment.at\n        )\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'confirmed_booking_has_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a confirmed booking holds its slots';\n    END IF;\n    IF booking_state = 'confirmed' AND NOT EXISTS (\n        SELECT 1 FROM bookings_line l WHERE l.booking_id = subject AND l.cancelled_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'confirmed_booking_has_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a confirmed booking has lines';\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_line l JOIN bookings_occupancy o ON o.line_id = l.id\n        WHERE l.booking_id = subject AND l.cancelled_at IS NOT NULL\n          AND o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'cancelled_line_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'a line given up holds nothing';\n    END IF;\n    IF booking_state IN ('expired', 'released', 'cancelled') AND EXISTS (\n        SELECT 1 FROM bookings_occupancy o\n        WHERE o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'ended_booking_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'an ended booking holds nothing';\n    END IF;\n    IF EXISTS (\n        SELECT 1 FROM bookings_change c JOIN bookings_occupancy o ON o.change_id = c.id\n        WHERE c.booking_id = subject AND c.state IN ('expired', 'released')\n          AND o.booking_id = subject AND o.released_at IS NULL\n    ) THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'ended_change_has_no_occupancies', TABLE = TG_TABLE_NAME, MESSAGE = 'an ended change holds nothing';\n    END IF;\n    RETURN NULL;\n", hash='5c6f9936eee420b6ce13251a8596a8ffa707e91d', operation='UPDATE OF "state"', pgid='pgtrigger_agrees_with_occupancies_b0168', table='bookings_booking', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='booking',
            trigger=pgtrigger.compiler.Trigger(name='of_series', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (NEW."series_id" IS NOT NULL)', constraint='CONSTRAINT', func="\n        IF NEW.workspace_id IS DISTINCT FROM (\n            SELECT s.workspace_id FROM bookings_series s WHERE s.id = NEW.series_id\n        ) THEN\n            RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'booking_within_series', TABLE = TG_TABLE_NAME, MESSAGE = 'a series stays in its workspace';\n        END IF;\n        RETURN NULL;\n    ", hash='77b8cfb305ca93fabc9fad5246648f41630281de', operation='INSERT OR UPDATE OF "series_id", "workspace_id"', pgid='pgtrigger_of_series_ba400', table='bookings_booking', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='booking',
            trigger=pgtrigger.compiler.Trigger(name='uses_discount_again', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (NEW."state" = \'confirmed\' AND OLD."state" = \'expired\')', declare='DECLARE most integer; most_each integer; used bigint; used_each bigint; u bookings_discountuse;', func="\n        SELECT * INTO u FROM bookings_discountuse WHERE booking_id = NEW.id;\n        IF NOT FOUND THEN RETURN NEW; END IF;\n        \n    SELECT max_uses, max_uses_each INTO most, most_each\n    FROM bookings_discount WHERE id = u.discount_id;\n    IF most IS NULL AND most_each IS NULL THEN RETURN NEW; END IF;\n    \n    IF current_setting('transaction_isolation') <> 'read committed' THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'discount_read_committed', TABLE = TG_TABLE_NAME, MESSAGE = 'claims need READ COMMITTED: a snapshot oversells';\n    END IF;\n\n    PERFORM 1 FROM bookings_discount WHERE id = u.discount_id FOR NO KEY UPDATE;\n    SELECT count(*), count(*) FILTER (\n        WHERE (o.email = u.email AND u.email <> '') OR o.member_id = u.member_id\n    ) INTO used, used_each\n    FROM bookings_discountuse o JOIN bookings_booking b ON b.id = o.booking_id\n    WHERE o.discount_id = u.discount_id AND o.booking_id <> u.booking_id\n      AND b.state NOT IN ('expired', 'released', 'cancelled');\n\n        \n    IF used_each >= most_each THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'discount_max_uses_each', TABLE = TG_TABLE_NAME, MESSAGE = 'they have used the code as often as one may';\n    END IF;\n\n        \n    IF used >= most THEN\n        RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'discount_max_uses', TABLE = TG_TABLE_NAME, MESSAGE = 'the code has been used as often as it can be';\n    END IF;\n\n        RETURN NEW;\n    ", hash='41d43d9e82a711dafe00d153b2db4df599370433', operation='UPDATE OF "state"', pgid='pgtrigger_uses_discount_again_bc33f', table='bookings_booking', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='booking',
            trigger=pgtrigger.compiler.Trigger(name='keep_rows', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'booking_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='cdd8058d4ec768ad28bb56ded778de823be9543d', operation='DELETE', pgid='pgtrigger_keep_rows_a416d', table='bookings_booking', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='booking',
            trigger=pgtrigger.compiler.Trigger(name='keep_table', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION USING ERRCODE = '23001', CONSTRAINT = 'booking_is_history', TABLE = TG_TABLE_NAME, MESSAGE = 'rows of this table are kept';", hash='545c6731f66b4c02deebc80b127ea11fc890a3dc', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_keep_table_c787d', table='bookings_booking', when='BEFORE')),
        ),
    ]
