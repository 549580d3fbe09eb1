-- All creates of the plan carried out: the time sheets, and the ledger's rows that confirm them.

INSERT INTO kimai.timesheets (
    connector, id, user_id, project_id, activity_id, begin_at, end_at, duration_seconds, description, tags, exported,
    billable, raw
)
SELECT connector, source_id::bigint, (desired ->> 'user_id')::bigint, (desired ->> 'project_id')::bigint,
    (desired ->> 'activity_id')::bigint, begin_at, begin_at + interval '1 second' * seconds, seconds, description, tags,
    false, true, jsonb_build_object('id', source_id)
FROM (
    SELECT connector, source_id, draft -> 'desired' AS desired, draft ->> 'description' AS description,
        (draft -> 'desired' ->> 'begin')::timestamptz AS begin_at, (draft -> 'desired' ->> 'seconds')::int AS seconds,
        ARRAY(SELECT jsonb_array_elements_text(draft -> 'tags')) AS tags
    FROM sync.reconciliation_results WHERE action = 'create'
) planned;

INSERT INTO sync.pushes (
    connector, source_id, state, operation, entry_date, payload_hash, asked, kimai_id, base, facts_hash, attempts, run_id
)
SELECT r.connector, r.source_id, 'confirmed', 'create', r.entry_date, r.facts_hash, r.draft -> 'desired', t.id,
    jsonb_build_object(
        'id', t.id, 'user_id', t.user_id, 'project_id', t.project_id, 'activity_id', t.activity_id, 'begin', t.begin_at,
        'end', t.end_at, 'duration_seconds', t.duration_seconds, 'description', t.description, 'tags', t.tags,
        'exported', t.exported, 'billable', t.billable, 'raw', t.raw
    ), r.facts_hash, 1, 'benchmark'
FROM sync.reconciliation_results r
JOIN kimai.timesheets t ON t.connector = r.connector AND t.id = r.source_id::bigint
WHERE r.action = 'create'
