select
    source_id,
    original_day,
    entry_date,
    minutes,
    -- What is positive is carried by an entry of its own; the target takes no negative time.
    case when state = 'booked' then 'a' || id end as carried_by,
    row(source_id, original_day, entry_date, minutes, state)::text as row_version
from {{ source('sync', 'adjustments') }}
where connector = '{{ var("source") }}'
