select
    source_id,
    entry_date,
    ticket_number,
    booked_minutes,
    time_minutes,
    open_minutes,
    activity_type_id,
    activity_name as activity,
    agent_id,
    user_name as agent,
    user_email as agent_email,
    organization_id,
    sync_status,
    row(
        ticket_number,
        booked_minutes,
        time_minutes,
        open_minutes,
        activity_type_id,
        agent_id,
        user_name,
        user_email,
        organization_id
    )::text as row_version
from {{ source('sync', 'normalized_entries') }}
where source = '{{ var("source") }}'
