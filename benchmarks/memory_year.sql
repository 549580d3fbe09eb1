-- A year of a large company, as the extractions would have stored it. Sizes: :accountings, :users; days :first to :last.

INSERT INTO zammad.agents (connector, id, login, email, name, active)
SELECT 'zammad', n, 'agent' || n, 'agent' || n || '@provider.example', 'Agent ' || n, true
FROM generate_series(1, CAST(:users AS int)) n;

INSERT INTO zammad.organizations (connector, id, name, active)
SELECT 'zammad', n, 'Customer ' || n, true FROM generate_series(1, 500) n;

INSERT INTO zammad.activity_types (connector, id, name, active)
SELECT 'zammad', n, 'Type ' || n, true FROM generate_series(1, 10) n;

INSERT INTO zammad.tickets (
    connector, id, number, title, organization_id, customer_id, group_id, group_name, customer_name, complete, raw
)
SELECT 'zammad', n, (71000 + n)::text, 'Request ' || n || ' of a customer, with a title of the usual length',
    1 + n % 500, n, 1, 'Users', 'contact' || n, true, '{}'
FROM generate_series(1, CAST(:accountings AS int) / 4) n;

-- One in a hundred takes ten minutes off the booking before it: same ticket, agent and type.
INSERT INTO zammad.time_accountings (
    connector, id, ticket_id, units, type_id, agent_id, created_at, updated_at, work_day, raw, sweep_id
)
SELECT 'zammad', n, 1 + (n - 1) / 4, CASE WHEN correction THEN -10 ELSE 15 + n % 90 END,
    1 + key % 10, 1 + key % CAST(:users AS int), at, at, (at AT TIME ZONE 'Europe/Berlin')::date,
    jsonb_build_object('id', n, 'ticket_id', 1 + (n - 1) / 4, 'time_unit', '15.0'), 1
FROM (
    SELECT n, n % 100 = 4 AS correction, CASE WHEN n % 100 = 4 THEN n - 1 ELSE n END AS key,
        CAST(:first AS date) + interval '6 hours'
        + interval '1 day' * (n::bigint * (CAST(:last AS date) - CAST(:first AS date) + 1) / (CAST(:accountings AS int) + 1))
        + interval '1 minute' * (n % 600) AS wall
    FROM generate_series(1, CAST(:accountings AS int)) n
) numbered, LATERAL (SELECT wall AT TIME ZONE 'UTC' AS at) placed;

INSERT INTO kimai.servers (
    connector, version, caller_id, caller_name, caller_timezone, tracking_mode, allow_future_times, allow_overlapping
)
VALUES ('kimai', '2.57.0', 1, 'zk-sync', 'Europe/Berlin', 'default', true, true);

INSERT INTO kimai.users (connector, id, username, email, name, enabled, timezone)
SELECT 'kimai', 100 + n, 'agent' || n, 'agent' || n || '@provider.example', 'Agent ' || n, true, 'Europe/Berlin'
FROM generate_series(1, CAST(:users AS int)) n;

INSERT INTO kimai.activities (connector, id, name, visible)
SELECT 'kimai', n, 'Activity ' || n, true FROM generate_series(1, 10) n;

INSERT INTO kimai.customers (connector, id, name, number, visible)
SELECT 'kimai', n, 'Customer ' || n, 'zammad-org-' || n, true FROM generate_series(1, 400) n;

INSERT INTO kimai.projects (connector, id, name, number, customer_id, visible, global_activities)
SELECT 'kimai', n, 'Support', 'ZO' || n, n, true, true FROM generate_series(1, 400) n;

INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) SELECT n, n FROM generate_series(1, 10) n;

INSERT INTO kimai.timesheets (
    connector, id, user_id, project_id, activity_id, begin_at, end_at, duration_seconds, description, tags, exported,
    billable, raw
)
SELECT 'kimai', id::bigint, 100 + agent_id::bigint, 1, 1, created_at, created_at + interval '1 minute' * units, (units * 60)::int,
    CASE WHEN id::bigint % 2 = 0 THEN 'Ticket #' || 71000 + ticket_id::bigint ELSE 'Work for a customer' END, '{}', false, true,
    jsonb_build_object('id', id::bigint, 'user', 100 + agent_id::bigint, 'description', 'typed by hand')
FROM zammad.time_accountings WHERE id::bigint % 5 = 0 AND units > 0
