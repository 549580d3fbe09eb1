with reads as (
    select
        max(ended_at) as last_read_at,
        max(ended_at) filter (where complete) as last_complete_read_at
    from {{ source('sync', 'sweeps') }}
    where connector = '{{ var("source") }}'
),

writes as (
    select
        max(updated_at) filter (where state = 'confirmed') as last_write_at,
        count(*) filter (where state = 'failed') as writes_failed,
        count(*) filter (where state = 'parked') as writes_parked,
        count(*) filter (where state = 'intended') as writes_in_doubt
    from {{ source('sync', 'pushes') }}
    where connector = '{{ var("target") }}'
),

requests as (
    select
        count(distinct day) as days_asked_for,
        min(requested_at) as oldest_request_at
    from {{ source('sync', 'day_requests') }}
    where claimed_by_run is null
),

open_conflicts as (
    select
        count(*) as conflicts_open,
        min(opened_at) as oldest_conflict_at,
        percentile_cont(0.5) within group (order by extract(epoch from now() - opened_at))::numeric as median_age
    from {{ source('sync', 'conflicts') }}
    where connector = '{{ var("target") }}' and resolution_status = 'open'
),

entries as (
    select coalesce(sum(abs(minutes_unexplained)), 0) as minutes_unexplained
    from {{ ref('fct_time_entries') }}
)

select
    now() as measured_at,
    reads.last_read_at,
    reads.last_complete_read_at,
    round(extract(epoch from now() - reads.last_complete_read_at) / 3600, 2) as hours_since_complete_read,
    writes.last_write_at,
    writes.writes_failed,
    writes.writes_parked,
    writes.writes_in_doubt,
    requests.days_asked_for,
    requests.oldest_request_at,
    round(extract(epoch from now() - requests.oldest_request_at) / 3600, 2) as hours_behind,
    open_conflicts.conflicts_open,
    open_conflicts.oldest_conflict_at,
    round(extract(epoch from now() - open_conflicts.oldest_conflict_at) / 86400, 2) as oldest_conflict_days,
    round(open_conflicts.median_age / 86400, 2) as median_conflict_days,
    entries.minutes_unexplained
from reads
cross join writes
cross join requests
cross join open_conflicts
cross join entries
