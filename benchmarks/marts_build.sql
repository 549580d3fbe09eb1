-- What the chain would have made of a year of bookings: entries, plan, time sheets and ledger, all in sync. A correction
-- is netted with the booking before it.

INSERT INTO sync.normalized_entries (
    source, source_id, ticket_number, ticket_id, ticket_title, description, booked_minutes, time_minutes, open_minutes,
    activity_type_id, activity_name, agent_id, user_email, user_name, organization_id, organization_name, ticket_known,
    entry_date, begin_at, end_at, created_at, updated_at, tags, sync_status, owned_hash, trace
)
SELECT 'zammad', b.id, '#' || t.number, b.ticket_id, t.title, t.title || ' [zk-zammad-' || b.id || ']',
    b.units, CASE WHEN b.units < 0 THEN 0 WHEN b.id::bigint % 100 = 3 THEN b.units - 10 ELSE b.units END, 0,
    b.type_id, 'Type ' || b.type_id, b.agent_id, 'agent' || b.agent_id || '@provider.example', 'Agent ' || b.agent_id,
    t.organization_id, 'Customer ' || t.organization_id, true, b.work_day, b.created_at, b.created_at, b.created_at,
    b.updated_at, '{zammad,synced}', CASE WHEN b.units < 0 THEN 'excluded' ELSE 'pending' END, '', '{}'
FROM zammad.time_accountings b JOIN zammad.tickets t ON t.id = b.ticket_id;

DELETE FROM kimai.timesheets;

INSERT INTO kimai.timesheets (
    connector, id, user_id, project_id, activity_id, begin_at, end_at, duration_seconds, description, tags, exported,
    billable, raw
)
SELECT 'kimai', e.source_id::bigint, 100 + e.agent_id::bigint, 1 + e.organization_id::bigint % 400, e.activity_type_id::bigint,
    e.begin_at, e.begin_at, e.time_minutes * 60, e.description, e.tags, e.entry_date < '2025-07-01', true,
    jsonb_build_object('id', e.source_id::bigint, 'duration', (e.time_minutes * 60)::int, 'description', e.description)
FROM sync.normalized_entries e WHERE e.sync_status = 'pending';

INSERT INTO sync.pushes (
    connector, source_id, state, operation, entry_date, payload_hash, asked, kimai_id, base, run_id, updated_at
)
SELECT 'kimai', e.source_id, 'confirmed', 'create', e.entry_date, '',
    jsonb_build_object('seconds', (e.time_minutes * 60)::int), t.id,
    jsonb_build_object('duration_seconds', t.duration_seconds, 'raw', t.raw), 'benchmark', now() - interval '2 hours'
FROM sync.normalized_entries e JOIN kimai.timesheets t ON t.id = e.source_id::bigint;

INSERT INTO sync.reconciliation_results (
    connector, entry_date, key, source_id, kimai_id, status, action, minutes, text, diff, candidates, facts_hash, run_id,
    reconciled_at
)
SELECT 'kimai', e.entry_date, e.source_id, e.source_id, p.kimai_id,
    CASE WHEN p.kimai_id IS NULL THEN 'excluded' ELSE 'in_sync' END, 'none', e.time_minutes, '', '{}', '[]', '',
    'benchmark', now() - interval '1 hour'
FROM sync.normalized_entries e LEFT JOIN sync.pushes p ON p.source_id = e.source_id
