select
    source_id,
    original_day,
    entry_date,
    -- Whole seconds are meant, of which the stored minutes cut off what does not fit into four places.
    {{ minutes('round(minutes * 60)') }} as minutes,
    -- What is positive is carried by an entry of its own; the target takes no negative time.
    case when state = 'booked' then 'a' || id end as carried_by,
    row(source_id, original_day, entry_date, minutes, state)::text as row_version
from {{ source('sync', 'adjustments') }}
where connector = '{{ var("source") }}'
