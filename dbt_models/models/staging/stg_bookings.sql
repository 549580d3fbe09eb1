select
    accountings.id as source_id,
    accountings.work_day as entry_date,
    accountings.ticket_id,
    accountings.agent_id,
    accountings.type_id as activity_type_id,
    tickets.organization_id,
    -- Exact seconds come first. What was closed or billed when the unit was changed keeps the one that it was recorded
    -- under.
    round(
        coalesce(
            accountings.seconds::numeric / 60,
            accountings.units * coalesce(decided.value ->> 'minutes_per_unit', '{{ var("minutes_per_unit") }}')::numeric
        ),
        4
    ) as minutes_booked,
    accountings.gone_at is not null as is_gone,
    row(
        coalesce(accountings.seconds::numeric, accountings.units),
        accountings.ticket_id,
        accountings.agent_id,
        accountings.type_id,
        tickets.organization_id,
        accountings.gone_at is null,
        decided.value ->> 'minutes_per_unit'
    )::text as row_version
from {{ source('zammad', 'time_accountings') }} as accountings
left join {{ source('zammad', 'tickets') }} as tickets
    on accountings.connector = tickets.connector and accountings.ticket_id = tickets.id
left join {{ source('sync', 'decided_settings') }} as decided on accountings.decided_id = decided.id
where accountings.connector = '{{ var("source") }}'
