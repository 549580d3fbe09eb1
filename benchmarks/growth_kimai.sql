-- Kimai's directory for a company of :agents agents and :organizations organizations, as its extraction would store it.

INSERT INTO kimai.servers (
    connector, version, caller_id, caller_name, caller_timezone, tracking_mode, allow_future_times, allow_overlapping
)
VALUES ('kimai', '2.57.0', 1, 'zk-sync', 'Europe/Berlin', 'default', true, true);

INSERT INTO kimai.users (connector, id, username, email, name, enabled, timezone)
SELECT 'kimai', 2 + n, 'agent' || n, 'agent' || n || '@provider.example', 'Agent ' || n, true, 'Europe/Berlin'
FROM generate_series(0, CAST(:agents AS int) - 1) n;

INSERT INTO kimai.activities (connector, id, name, visible)
SELECT 'kimai', n, 'Activity ' || n, true FROM generate_series(1, 3) n;

INSERT INTO kimai.customers (connector, id, name, number, visible)
SELECT 'kimai', n, 'Customer ' || n, 'zammad-org-' || n, true FROM generate_series(1, CAST(:organizations AS int)) n;

INSERT INTO kimai.projects (connector, id, name, number, customer_id, visible, global_activities)
SELECT 'kimai', n, 'Support', 'ZO' || n, n, true, true FROM generate_series(1, CAST(:organizations AS int)) n;

INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) SELECT n, n FROM generate_series(1, 3) n
