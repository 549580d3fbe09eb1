-- What a large company's console looks at: :entries bookings up to today, their plan, ledger, time sheets and runs;
-- :waiting of the plan's lines wait for a person, and one line in a hundred would write; :acts stand in the trail.

INSERT INTO kimai.servers (
    connector, version, caller_id, caller_name, caller_timezone, tracking_mode, allow_future_times, allow_overlapping
)
VALUES ('kimai', '2.57.0', 1, 'zk-sync', 'Europe/Berlin', 'default', true, true);

INSERT INTO kimai.users (connector, id, username, email, name, enabled, timezone)
SELECT 'kimai', n, 'agent' || n, 'agent' || n || '@provider.example', 'Agent ' || n, true, 'Europe/Berlin'
FROM generate_series(1, 300) n;

INSERT INTO kimai.activities (connector, id, name, visible)
SELECT 'kimai', n, 'Activity ' || n, true FROM generate_series(1, 10) n;

INSERT INTO kimai.customers (connector, id, name, number, visible)
SELECT 'kimai', n, 'Customer ' || n, 'zammad-org-' || n, true FROM generate_series(1, 500) n;

INSERT INTO kimai.projects (connector, id, name, number, customer_id, visible, global_activities)
SELECT 'kimai', n, 'Support', 'ZO' || n, n, true, true FROM generate_series(1, 500) n;

INSERT INTO sync.normalized_entries (
    source, source_id, ticket_number, ticket_id, ticket_title, description, booked_minutes, time_minutes, open_minutes,
    activity_type_id, activity_name, agent_id, user_email, user_name, organization_id, organization_name,
    customer_name, group_id, group_name, ticket_known, entry_date, begin_at, end_at, created_at, updated_at, tags,
    sync_status, owned_hash, trace
)
SELECT 'zammad', n, '#' || 71000 + n / 4, n / 4, 'Request ' || n / 4 || ' of a customer, with a title of the usual length',
    'Ticket #' || 71000 + n / 4 || ': Request of a customer [zk-zammad-' || n || ']', 15 + n % 90, 15 + n % 90,
    0, 1 + n % 10, 'Type ' || 1 + n % 10, 1 + n % 300, 'agent' || 1 + n % 300 || '@provider.example',
    'Agent ' || 1 + n % 300, 1 + n % 500, 'Customer ' || 1 + n % 500, 'contact' || 1 + n % 500, 1, 'Users', true,
    (at AT TIME ZONE 'Europe/Berlin')::date, at, at + interval '15 minutes', at, at, '{zammad,synced}', 'pending',
    md5(n::text), '{"minutes": "one unit is one minute", "begin": "start of the booking"}'
FROM generate_series(1, CAST(:entries AS int)) n,
    LATERAL (SELECT now() - interval '1 day' * (n::bigint * 365 / CAST(:entries AS int)) AS at) placed;

INSERT INTO kimai.timesheets (
    connector, id, user_id, project_id, activity_id, begin_at, end_at, duration_seconds, description, tags, exported,
    billable, raw
)
SELECT 'kimai', source_id::bigint, agent_id::bigint, organization_id::bigint, activity_type_id::bigint, begin_at, end_at,
    (time_minutes * 60)::int, description, tags, false, true, jsonb_build_object('id', source_id)
FROM sync.normalized_entries;

INSERT INTO sync.reconciliation_results (
    connector, entry_date, key, source_id, kimai_id, status, action, minutes, reason, text, diff, candidates, draft,
    facts_hash, run_id
)
SELECT 'kimai', entry_date, source_id, source_id, CASE WHEN kind = 'missing' THEN NULL ELSE n END,
    CASE kind WHEN 'waiting' THEN 'mismatch' ELSE kind END,
    CASE kind WHEN 'waiting' THEN 'review' WHEN 'missing' THEN 'create' ELSE 'none' END,
    time_minutes, CASE WHEN kind = 'waiting' THEN (ARRAY['kimai_edited', 'both_changed'])[1 + n % 2] END, '',
    CASE WHEN kind = 'waiting' THEN '{"duration": ["15 min", "30 min"]}'::jsonb ELSE '{}' END, '[]',
    jsonb_build_object(
        'desired', jsonb_build_object(
            'user_id', agent_id::bigint, 'begin', to_jsonb(begin_at), 'seconds', (time_minutes * 60)::int,
            'project_id', organization_id::bigint, 'project_number', 'ZO' || organization_id,
            'activity_id', activity_type_id::bigint
        ),
        'begin', to_jsonb(begin_at), 'end', to_jsonb(end_at), 'description', description, 'tags', to_jsonb(tags),
        'project', jsonb_build_object(
            'id', organization_id::bigint, 'number', 'ZO' || organization_id, 'name', 'Support', 'customer', jsonb_build_object(
                'id', organization_id::bigint, 'number', 'zammad-org-' || organization_id, 'name', organization_name
            )
        )
    ),
    md5(source_id), 'benchmark'
FROM (
    SELECT *, source_id::int AS n, CASE
        WHEN source_id::int % (CAST(:entries AS int) / CAST(:waiting AS int)) = 1 THEN 'waiting'
        WHEN source_id::int % 100 = 2 THEN 'missing' ELSE 'in_sync' END AS kind
    FROM sync.normalized_entries
) told;

INSERT INTO sync.conflicts (
    connector, entry_date, key, source_id, kimai_id, reason, text, suggested_action, facts_hash, status
)
SELECT connector, entry_date, key, source_id, kimai_id, reason, 'Somebody changed the time sheet in Kimai.', 'update',
    facts_hash, status
FROM sync.reconciliation_results WHERE action = 'review';

-- As many again that were decided long ago.
INSERT INTO sync.conflicts (
    connector, entry_date, key, source_id, kimai_id, reason, text, suggested_action, facts_hash, status,
    resolution_status, decision, decided_by, decided_at, closed_at
)
SELECT connector, entry_date, key, source_id, kimai_id, 'duplicate', text, 'link', facts_hash, status, 'carried_out',
    'link', 'user:1', now(), now()
FROM sync.conflicts;

INSERT INTO sync.pushes (
    connector, source_id, state, operation, entry_date, payload_hash, asked, kimai_id, base, facts_hash, attempts, run_id
)
SELECT r.connector, r.source_id, 'confirmed', 'create', r.entry_date, r.facts_hash, r.draft -> 'desired', r.kimai_id,
    to_jsonb(t) - 'raw', r.facts_hash, 1, 'benchmark'
FROM sync.reconciliation_results r JOIN kimai.timesheets t ON t.connector = r.connector AND t.id = r.kimai_id
WHERE r.kimai_id IS NOT NULL;

INSERT INTO sync.sync_runs (
    run_id, first_day, last_day, counts, carried_out_until, carried_out_at, started_at, updated_at
)
SELECT md5(n::text), at::date, at::date, '{"entries": 500, "created": 12, "in_sync": 480}', at::date, at, at, at
FROM generate_series(1, 10000) n, LATERAL (SELECT now() - interval '1 hour' * n AS at) placed;

INSERT INTO zammad.time_accountings (
    connector, id, ticket_id, units, type_id, agent_id, created_at, updated_at, work_day, raw, sweep_id
)
SELECT 'zammad', source_id, ticket_id, booked_minutes, activity_type_id, agent_id, created_at, updated_at,
    entry_date, '{}', 1
FROM sync.normalized_entries;

-- A chain that does not verify, since nobody asks it to. It ends before the first real row, behind which real ones follow.
INSERT INTO sync.audit_logs (
    id, event, actor, subject, created_at, detail_hash, previous_hash, hash
)
SELECT n - CAST(:acts AS int) - 1,
    CASE WHEN n % 10 < 7 THEN 'kimai.timesheet.created' ELSE (ARRAY['conflict.decided', 'days.requested', 'plan.approved',
    'user.signed_in'])[1 + n % 4] END, CASE WHEN n % 10 < 7 THEN 'pipeline' ELSE 'user:' || n % 40 END, 'booking:' || n,
    now() - interval '1 minute' * (CAST(:acts AS int) - n), md5(n::text), md5(n::text), md5(n::text)
FROM generate_series(1, CAST(:acts AS int)) n
