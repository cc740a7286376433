import config.kernel.ids
import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import members.rules
import pgtrigger.compiler
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('members', '0001_initial'), ('members', '0002_money_back'), ('members', '0003_connect'), ('members', '0004_member_groups'), ('members', '0005_series'), ('members', '0006_tax'), ('members', '0007_waitlist_settings'), ('members', '0008_booking_policies'), ('members', '0009_api_kinds')]

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='MemberGroup',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('slug', models.SlugField(max_length=60)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Member',
            fields=[
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('email', models.EmailField(error_messages={'unique': 'There is a member with this e-mail already.'}, max_length=254, unique=True, verbose_name='e-mail')),
                ('name', models.CharField(blank=True, max_length=200)),
                ('is_active', models.BooleanField(default=True)),
                ('is_staff', models.BooleanField(default=False, verbose_name='may open the admin')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('email', django.db.models.functions.text.Lower('email'))), name='member_email_lower')],
            },
        ),
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('scope', models.CharField(max_length=80)),
                ('operation', models.CharField(max_length=120)),
                ('key', models.CharField(max_length=255)),
                ('fingerprint', models.CharField(max_length=64)),
                ('status', models.PositiveSmallIntegerField(null=True)),
                ('body', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'indexes': [models.Index(models.F('created_at'), name='idempotency_created')],
                'constraints': [models.UniqueConstraint(models.F('scope'), models.F('operation'), models.F('key'), name='idempotency_key_once')],
            },
        ),
        migrations.CreateModel(
            name='GroupMembership',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('ends_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('member', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='group_memberships', to=settings.AUTH_USER_MODEL)),
                ('group', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='members.membergroup')),
            ],
            options={
                'ordering': ['created_at'],
                'constraints': [models.UniqueConstraint(models.F('group'), models.F('member'), name='group_membership_once')],
            },
        ),
        migrations.CreateModel(
            name='Workspace',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('slug', models.SlugField(help_text='Its address: /w/<slug>/. Links break if it changes.', max_length=60, unique=True)),
                ('name', models.CharField(max_length=120)),
                ('tagline', models.CharField(blank=True, max_length=200)),
                ('timezone', models.CharField(default='UTC', help_text='Europe/Berlin', max_length=64, validators=[members.rules.validate_timezone])),
                ('currency', models.CharField(default='EUR', max_length=3, validators=[members.rules.validate_currency])),
                ('contact_email', models.EmailField(blank=True, help_text="Where members' replies go.", max_length=254)),
                ('accent', models.CharField(blank=True, help_text='#1f5c4a; blank for ours', max_length=7, validators=[members.rules.validate_accent])),
                ('logo', models.ImageField(blank=True, upload_to='logos/')),
                ('embed_origins', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=200), blank=True, db_default=models.Value([], django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=200), size=None)), default=list, help_text='Sites that may show the calendar in their pages: https://club.example. Separated by commas; blank for none.', size=None)),
                ('hold_ttl_seconds', models.PositiveIntegerField(default=900, help_text='How long a slot is held while a member pays: 60 to 7200.', validators=[django.core.validators.MinValueValidator(60), django.core.validators.MaxValueValidator(7200)])),
                ('hold_extension_seconds', models.PositiveIntegerField(default=300, help_text='What one extension adds; 0 for none.', validators=[django.core.validators.MaxValueValidator(7200)])),
                ('checkout_grace_seconds', models.PositiveIntegerField(default=30, validators=[django.core.validators.MaxValueValidator(600)])),
                ('max_live_holds_per_member', models.PositiveIntegerField(default=3)),
                ('max_live_holds_per_visitor', models.PositiveIntegerField(default=3)),
                ('max_live_holds_per_address', models.PositiveIntegerField(default=20)),
                ('waitlist_ttl_seconds', models.PositiveIntegerField(db_default=3600, default=3600, help_text='How long whoever is next in line has to take what has become free.', validators=[django.core.validators.MinValueValidator(60), django.core.validators.MaxValueValidator(7200)])),
                ('max_waiting_per_member', models.PositiveIntegerField(db_default=10, default=10, help_text='In how many lines one person may wait at once.')),
                ('limits_bookings', models.BooleanField(db_default=False, default=False, editable=False)),
                ('stripe_account_id', models.CharField(blank=True, max_length=255)),
                ('charges', models.CharField(choices=[('platform', "on the platform's own account"), ('direct', "direct charges on the workspace's account"), ('destination', 'destination charges through the platform')], default='platform', max_length=12)),
                ('application_fee_basis_points', models.PositiveIntegerField(default=0, help_text='100 is one per cent.', validators=[django.core.validators.MaxValueValidator(10000)])),
                ('stripe_charges_enabled', models.BooleanField(default=False, editable=False)),
                ('stripe_details_submitted', models.BooleanField(default=False, editable=False)),
                ('stripe_disabled_because', models.CharField(blank=True, editable=False, max_length=200)),
                ('stripe_seen_at', models.DateTimeField(editable=False, null=True)),
                ('stripe_next_look_at', models.DateTimeField(editable=False, null=True)),
                ('refund_application_fee', models.BooleanField(default=True, help_text='A refund gives our fee back too, in proportion.')),
                ('takes_delayed_methods', models.BooleanField(default=False, help_text='Bank debits and the like, which cannot be captured later.')),
                ('processing_limit_seconds', models.PositiveIntegerField(default=259200, help_text='How long a payment under way keeps its slot.', validators=[django.core.validators.MinValueValidator(3600), django.core.validators.MaxValueValidator(1209600)])),
                ('pay_again_seconds', models.PositiveIntegerField(default=86400, help_text='How long a member whose payment failed afterwards has to pay again.', validators=[django.core.validators.MinValueValidator(3600), django.core.validators.MaxValueValidator(1209600)])),
                ('series_paid_each', models.BooleanField(db_default=False, default=False, help_text='Of a booking that repeats, each time is paid by itself before it takes place.')),
                ('series_pay_hours', models.PositiveIntegerField(db_default=48, default=48, help_text='So many hours before the start it must be paid, else it is cancelled.')),
                ('cancel_free_hours', models.PositiveIntegerField(default=24, help_text='Cancelling is free until so many hours before the start.')),
                ('cancel_partial_hours', models.PositiveIntegerField(default=0, help_text='From then until so many hours before, a share is given back.')),
                ('cancel_partial_percent', models.PositiveSmallIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(100)])),
                ('cancel_fee_minor', models.PositiveBigIntegerField(default=0, help_text='What a cancellation costs in any case, in minor units.')),
                ('goodwill_credit_minor', models.PositiveBigIntegerField(default=0, help_text='Credit for a member whose payment came when the slot was gone.')),
                ('credit_valid_days', models.PositiveIntegerField(blank=True, help_text='How long goodwill can be spent; blank for ever.', null=True)),
                ('tax_name', models.CharField(blank=True, help_text='GST, VAT; on receipts.', max_length=40)),
                ('tax_basis_points', models.PositiveIntegerField(default=0, help_text='1500 is 15 per cent.', validators=[django.core.validators.MaxValueValidator(10000)])),
                ('tax_is_added', models.BooleanField(db_default=False, default=False, help_text='Otherwise prices include it.', verbose_name='tax is added to the prices')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('cancel_partial_hours__lte', models.F('cancel_free_hours')), ('cancel_partial_percent__lte', 100)), name='workspace_cancel_terms_in_order', violation_error_message='The share given back applies after the free hours.'), models.CheckConstraint(condition=models.Q(('hold_ttl_seconds__range', (60, 7200))), name='workspace_hold_ttl_range'), models.CheckConstraint(condition=models.Q(('waitlist_ttl_seconds__range', (60, 7200))), name='workspace_waitlist_ttl_range'), models.CheckConstraint(condition=models.Q(('charges', 'platform'), models.Q(('stripe_account_id', ''), _negated=True), _connector='OR'), name='workspace_charges_have_account', violation_error_message='Direct and destination charges need a Stripe account.')],
            },
        ),
        migrations.CreateModel(
            name='Staff',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('role', models.CharField(choices=[('owner', 'Owner'), ('manager', 'Manager'), ('clerk', 'Clerk')], default='clerk', max_length=10)),
                ('invited_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('accepted_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('member', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='staff_roles', to=settings.AUTH_USER_MODEL)),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='staff', to='members.workspace')),
            ],
            options={
                'verbose_name_plural': 'staff',
                'constraints': [models.UniqueConstraint(models.F('workspace'), models.F('member'), name='staff_once_per_workspace')],
            },
        ),
        migrations.CreateModel(
            name='Notification',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=40)),
                ('subject_type', models.CharField(blank=True, max_length=40)),
                ('subject_id', models.CharField(blank=True, max_length=40)),
                ('once', models.CharField(max_length=120, unique=True)),
                ('to', models.EmailField(max_length=254)),
                ('payload', models.JSONField(help_text='subject, text, html, reply_to, attachments')),
                ('state', models.CharField(default='pending', max_length=10)),
                ('version', models.PositiveIntegerField(default=0)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('leased_until', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('sent_at', models.DateTimeField(null=True)),
                ('last_error', models.TextField(blank=True)),
                ('workspace', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='notifications', to='members.workspace')),
            ],
            options={
                'indexes': [models.Index(models.F('due_at'), condition=models.Q(('state', 'pending')), name='notification_due'), models.Index(models.F('subject_type'), models.F('subject_id'), name='notification_subject')],
                'triggers': [pgtrigger.compiler.Trigger(name='transitions', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NOT NEW.state = ANY (ARRAY['pending']) THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'notification_first_state', TABLE = TG_TABLE_NAME, MESSAGE = 'a notification cannot start there';\n                END IF;\n            ELSIF NEW.state IS DISTINCT FROM OLD.state THEN\n                IF NOT (OLD.state || '>' || NEW.state) = ANY (ARRAY['failed>pending', 'pending>failed', 'pending>sent']::text[]) THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'notification_transition', TABLE = TG_TABLE_NAME, MESSAGE = 'a notification cannot make this move';\n                END IF;\n                IF NEW.version <> OLD.version + 1 THEN\n                    RAISE EXCEPTION USING ERRCODE = '23514', CONSTRAINT = 'notification_version', TABLE = TG_TABLE_NAME, MESSAGE = 'a move raises the version by one';\n                END IF;\n            END IF;\n            RETURN NEW;\n        ", hash='934a7db63a5b7fc1fdd31144382ce5c45abd6a0c', operation='INSERT OR UPDATE OF "state"', pgid='pgtrigger_transitions_d1d58', table='members_notification', when='BEFORE'))],
            },
        ),
        migrations.AddField(
            model_name='membergroup',
            name='workspace',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='member_groups', to='members.workspace'),
        ),
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.UUIDField(default=config.kernel.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('scope', models.CharField(choices=[('read', 'Read'), ('write', 'Read and write')], default='read', max_length=5)),
                ('hint', models.CharField(editable=False, help_text="The key's first characters.", max_length=16)),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('kind', models.CharField(choices=[('secret', 'Secret: for servers'), ('publishable', 'Publishable: for web pages')], db_default='secret', default='secret', max_length=11)),
                ('shown', models.CharField(blank=True, db_default='', editable=False, max_length=80, verbose_name='key')),
                ('origins', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=200), blank=True, db_default=models.Value([], django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=200), size=None)), default=list, help_text='Where its pages come from: https://club.example. Separated by commas.', size=None)),
                ('requests_per_minute', models.PositiveIntegerField(blank=True, help_text='Blank for the default.', null=True, validators=[django.core.validators.MinValueValidator(1)])),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('revoked_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='api_keys', to='members.workspace')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['secret', 'publishable'])), name='api_key_kind'), models.CheckConstraint(condition=models.Q(('kind', 'publishable'), ('shown', ''), _connector='OR'), name='api_key_secret_is_not_kept')],
            },
        ),
        migrations.AddConstraint(
            model_name='membergroup',
            constraint=models.UniqueConstraint(models.F('workspace'), models.F('slug'), name='member_group_slug'),
        ),
    ]
